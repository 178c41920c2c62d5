# Asks a chat of the gateway, with the http package 2 of Tcl 8.
#
#   CHAT_NAME=shop_chat tclsh http2.tcl 你好
#
# Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs nothing beside Tcl.
# format=text: Tcl itself parses no JSON, and decodes a reply by its charset only if it is text/*.
package require http 2

proc setting {name default} {
    if {[info exists ::env($name)] && $::env($name) ne ""} { return $::env($name) }
    return $default
}

proc fail {words} {
    puts stderr $words
    exit 1
}

set question \u4f60\u597d
if {[llength $argv]} { set question [lindex $argv 0] }
set url "http://[setting GATEWAY_HOST 127.0.0.1]:[setting GATEWAY_PORT 8099]/local/chat?format=text"
set body [http::formatQuery chat_name [setting CHAT_NAME local_chat] content $question]
set headers [list X-Api-Key [setting GATEWAY_TOKEN ""]]

if {[catch {http::geturl $url -query $body -headers $headers -timeout 130000} call]} { fail $call }
if {[http::status $call] ne "ok"} { fail "no answer: [http::status $call] [http::error $call]" }
if {[http::ncode $call] != 200} { fail [http::data $call] }
puts [http::data $call]
