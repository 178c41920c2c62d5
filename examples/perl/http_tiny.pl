#!/usr/bin/perl
# Asks a chat of the gateway, with HTTP::Tiny, which comes with Perl since 5.14.
#
#   CHAT_NAME=shop_chat perl http_tiny.pl 你好
#
# Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs nothing beside Perl.
# format=text: no JSON module is needed. post_form encodes characters, not bytes, so the arguments are decoded first;
# the reply comes as bytes, and here goes out as the UTF-8 that it is.
use strict;
use warnings;
use utf8;
use Encode qw(decode);
use HTTP::Tiny;

my ($question) = map { decode('UTF-8', $_) } @ARGV;
$question = '你好' unless defined $question;
my $host = ($ENV{GATEWAY_HOST} || '127.0.0.1') . ':' . ($ENV{GATEWAY_PORT} || 8099);
my %form = (chat_name => $ENV{CHAT_NAME} || 'local_chat', content => $question);
my %headers = ('X-Api-Key' => $ENV{GATEWAY_TOKEN} || '');

my $reply = HTTP::Tiny->new(timeout => 130)
    ->post_form("http://$host/local/chat?format=text", \%form, {headers => \%headers});
die "$reply->{content}\n" unless $reply->{success};
print "$reply->{content}\n";
