#!/usr/bin/perl
# Asks a chat of the gateway, with LWP (libwww-perl), the client of Perl 5 since 1996.
#
#   CHAT_NAME=shop_chat perl lwp.pl 你好
#
# Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs LWP (Debian: libwww-perl).
# format=text: no JSON module is needed, and decoded_content decodes text by its charset, but not JSON.
use strict;
use warnings;
use LWP::UserAgent;

binmode $_, ':encoding(UTF-8)' for *STDOUT, *STDERR;
my $question = @ARGV ? $ARGV[0] : "\xe4\xbd\xa0\xe5\xa5\xbd";    # bytes of UTF-8, as the arguments are
my $host = ($ENV{GATEWAY_HOST} || '127.0.0.1') . ':' . ($ENV{GATEWAY_PORT} || 8099);
my %form = (chat_name => $ENV{CHAT_NAME} || 'local_chat', content => $question);

my $reply = LWP::UserAgent->new(timeout => 130)
    ->post("http://$host/local/chat?format=text", \%form, 'X-Api-Key' => $ENV{GATEWAY_TOKEN} || '');
die $reply->decoded_content . "\n" unless $reply->is_success;
die "the answer was cut off\n" if length $reply->content != $reply->header('Content-Length');
print $reply->decoded_content . "\n";
