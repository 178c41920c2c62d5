#!/usr/bin/perl
# Has the gateway sort a mail, with LWP (libwww-perl), the client of Perl 5 since 1996.
#
#   perl task.pl Ann 'My lamp broke. I want my money back.'
#
# Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs LWP (Debian: libwww-perl).
# The task (CHAT_NAME, or sort_mail) has the prompt, and answers one word.
use strict;
use warnings;
use LWP::UserAgent;

my ($customer, $mail) = @ARGV ? @ARGV : ('Ann', 'My lamp broke. I want my money back.');
my $host = ($ENV{GATEWAY_HOST} || '127.0.0.1') . ':' . ($ENV{GATEWAY_PORT} || 8099);
my %form = (chat_name => $ENV{CHAT_NAME} || 'sort_mail', customer => $customer, content => $mail);

my $reply = LWP::UserAgent->new(timeout => 130)
    ->post("http://$host/task/chat", \%form, 'X-Api-Key' => $ENV{GATEWAY_TOKEN} || '');
die $reply->content . "\n" unless $reply->is_success;
die "the answer was cut off\n" if length $reply->content != $reply->header('Content-Length');
print $reply->content eq 'refund' ? "refund: to the cashier\n" : $reply->content . ": to the office\n";
