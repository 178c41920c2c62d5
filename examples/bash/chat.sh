#!/bin/bash
# Asks a chat of the gateway with nothing but bash: no curl, no other program.
#
#   CHAT_NAME=shop_chat ./chat.sh 你好
#
# Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs bash with /dev/tcp, as Debian's is.
# format=text: the shell parses no JSON. multipart/form-data: in it the question needs no escaping.
# HTTP/1.0: the gateway closes the connection, and that ends the reply.
LC_ALL=C # ${#body} is then a count of bytes
question=${1:-你好}

line=$'\r\n'
boundary=chat-$RANDOM$RANDOM$RANDOM$RANDOM
field="--$boundary${line}Content-Disposition: form-data; name="
body="$field\"chat_name\"$line$line${CHAT_NAME:-local_chat}$line"
body+="$field\"content\"$line$line$question$line--$boundary--$line"

exec 3<>"/dev/tcp/${GATEWAY_HOST:-127.0.0.1}/${GATEWAY_PORT:-8099}" || exit 1
trap '' PIPE # a gateway that is gone is "no answer" too
printf 'POST /local/chat?format=text HTTP/1.0\r\nX-Api-Key: %s\r\n' "$GATEWAY_TOKEN" >&3
printf 'Content-Type: multipart/form-data; boundary=%s\r\nContent-Length: %d\r\n\r\n%s' \
  "$boundary" ${#body} "$body" >&3

read -r -t 130 _ status _ <&3 || { echo "no answer" >&2; exit 1; }
while read -r -t 130 header <&3 && [ "$header" != $'\r' ]; do
  case ${header,,} in content-length:*) length=${header//[!0-9]/} ;; esac
done
IFS= read -r -t 130 -d '' answer <&3 # until the end: there is no NUL
[ "$status" = 200 ] || { printf '%s\n' "$answer" >&2; exit 1; }
[ ${#answer} = "$length" ] || { echo "the answer was cut off" >&2; exit 1; }
printf '%s\n' "$answer"
