#!/bin/bash
# Has the gateway sort a mail, with nothing but bash: no curl, no other program.
#
#   ./task.sh Ann 'My lamp broke. I want my money back.'
#
# Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs bash with /dev/tcp, as Debian's is.
# The task (CHAT_NAME, or sort_mail) has the prompt. In a form only % & + need escaping: other bytes go as they are.
LC_ALL=C # ${#body} is then a count of bytes

escaped() {
  local text=${1//%/%25}
  text=${text//'&'/%26}
  printf %s "${text//+/%2B}"
}

body="chat_name=${CHAT_NAME:-sort_mail}&customer=$(escaped "${1:-Ann}")"
body+="&content=$(escaped "${2:-My lamp broke. I want my money back.}")"
exec 3<>"/dev/tcp/${GATEWAY_HOST:-127.0.0.1}/${GATEWAY_PORT:-8099}" || exit 1
trap '' PIPE # a gateway that is gone is "no answer" too
printf 'POST /task/chat HTTP/1.0\r\nX-Api-Key: %s\r\nContent-Length: %d\r\n\r\n%s' \
  "$GATEWAY_TOKEN" ${#body} "$body" >&3

read -r -t 130 _ status _ <&3 || { echo "no answer" >&2; exit 1; }
while read -r -t 130 header <&3 && [ "$header" != $'\r' ]; do
  case ${header,,} in content-length:*) length=${header//[!0-9]/} ;; esac
done
IFS= read -r -t 130 -d '' answer <&3 # until the end: there is no NUL
[ "$status" = 200 ] || { printf '%s\n' "$answer" >&2; exit 1; }
[ ${#answer} = "$length" ] || { echo "the answer was cut off" >&2; exit 1; }
if [ "$answer" = refund ]; then echo "refund: to the cashier"; else echo "$answer: to the office"; fi
