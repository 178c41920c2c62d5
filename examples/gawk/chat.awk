#!/usr/bin/gawk -bf
# Asks a chat of the gateway, over gawk's own sockets.
#
#   CHAT_NAME=shop_chat gawk -b -f chat.awk 你好
#
# Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs gawk 4 or newer; -b lets it count bytes.
# format=text: awk parses no JSON. A form is easy to write. HTTP/1.0: the gateway closes, and that ends the reply.

function setting(name, otherwise) {
    return ENVIRON[name] != "" ? ENVIRON[name] : otherwise
}

function escaped(text,    i, out) {
    for (i = 1; i <= length(text); i++) out = out sprintf("%%%02X", code[substr(text, i, 1)])
    return out
}

BEGIN {
    for (i = 0; i < 256; i++) code[sprintf("%c", i)] = i
    question = ARGC > 1 ? ARGV[1] : "你好"
    body = "chat_name=" setting("CHAT_NAME", "local_chat") "&content=" escaped(question)

    gateway = "/inet/tcp/0/" setting("GATEWAY_HOST", "127.0.0.1") "/" setting("GATEWAY_PORT", 8099)
    PROCINFO[gateway, "READ_TIMEOUT"] = 130000
    printf "POST /local/chat?format=text HTTP/1.0\r\nX-Api-Key: %s\r\n" \
        "Content-Type: application/x-www-form-urlencoded\r\nContent-Length: %d\r\n\r\n%s",
        setting("GATEWAY_TOKEN", ""), length(body), body |& gateway

    if ((gateway |& getline) <= 0) { print "no answer" > "/dev/stderr"; exit 1 }
    status = $2
    while ((gateway |& getline line) > 0 && line != "\r")
        if (tolower(line) ~ /^content-length:/) size = substr(line, 16) + 0
    while ((gateway |& getline line) > 0) answer = answer line RT
    if (status == 200 && length(answer) != size) { print "the answer was cut off" > "/dev/stderr"; exit 1 }
    print answer > (status == 200 ? "/dev/stdout" : "/dev/stderr")
    exit status != 200
}
