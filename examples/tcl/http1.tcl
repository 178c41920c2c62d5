# Asks a chat of the gateway, with the http package 1.0 that came with Tcl 8.0 in 1997.
#
#   CHAT_NAME=shop_chat tclsh http1.tcl 你好
#
# Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Tcl 8.1 or newer, for `encoding`.
# format=text: Tcl of that age parses no JSON, and http 1.0 undoes no chunks: the gateway never sends any to it.
# http 1.0 knows bytes only, so the text is made UTF-8 before, and text again after.
package require -exact http 1.0

proc setting {name default} {
    global env
    if {[info exists env($name)] && $env($name) != ""} { return $env($name) }
    return $default
}

proc fail {words} {
    puts stderr $words
    exit 1
}

set question \u4f60\u597d
if {[llength $argv]} { set question [lindex $argv 0] }
set url "http://[setting GATEWAY_HOST 127.0.0.1]:[setting GATEWAY_PORT 8099]/local/chat?format=text"
set body [http_formatQuery chat_name [setting CHAT_NAME local_chat] content [encoding convertto utf-8 $question]]
set headers [list X-Api-Key [setting GATEWAY_TOKEN ""]]

if {[catch {http_get $url -query $body -headers $headers -timeout 130000} call]} { fail $call }
if {[http_status $call] != "ok"} { fail "no answer: [http_status $call]" }
upvar #0 $call state
if {$state(currentsize) != $state(totalsize)} { fail "the answer was cut off" }
set answer [encoding convertfrom utf-8 [http_data $call]]
if {[lindex [http_code $call] 1] != 200} { fail $answer }
puts $answer
