# Has the gateway sort a mail, with the http package 1.0 that came with Tcl 8.0 in 1997.
#
#   tclsh task.tcl Ann {My lamp broke. I want my money back.}
#
# Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Tcl 8.1 or newer, for `encoding`.
# The task (CHAT_NAME, or sort_mail) has the prompt, and answers one word. http 1.0 knows bytes only.
package require -exact http 1.0

foreach {name default} {GATEWAY_HOST 127.0.0.1 GATEWAY_PORT 8099 GATEWAY_TOKEN "" CHAT_NAME sort_mail} {
    if {![info exists env($name)] || $env($name) == ""} { set env($name) $default }
}

proc fail {words} { puts stderr $words; exit 1 }

if {$argc < 2} { set argv [list Ann "My lamp broke. I want my money back."] }
set url "http://$env(GATEWAY_HOST):$env(GATEWAY_PORT)/task/chat"
set form [http_formatQuery chat_name $env(CHAT_NAME) \
    customer [encoding convertto utf-8 [lindex $argv 0]] content [encoding convertto utf-8 [lindex $argv 1]]]
set headers [list X-Api-Key $env(GATEWAY_TOKEN)]
if {[catch {http_get $url -query $form -headers $headers -timeout 130000} call]} { fail $call }
if {[http_status $call] != "ok"} { fail "no answer: [http_status $call]" }
if {[set ${call}(currentsize)] != [set ${call}(totalsize)]} { fail "the answer was cut off" }
set answer [encoding convertfrom utf-8 [http_data $call]]
if {[lindex [http_code $call] 1] != 200} { fail $answer }
if {$answer == "refund"} { puts "refund: to the cashier" } else { puts "$answer: to the office" }
