#!/usr/bin/gawk -bf
# Has the gateway sort a mail, over gawk's own sockets.
#
#   gawk -b -f task.awk Ann 'My lamp broke. I want my money back.'
#
# Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs gawk 4 or newer; -b lets it count bytes.
# The task (CHAT_NAME, or sort_mail) has the prompt. In a form only % & + need escaping: other bytes go as they are.

function setting(name, otherwise) {
    return ENVIRON[name] != "" ? ENVIRON[name] : otherwise
}

function escaped(text) {
    gsub(/%/, "%25", text); gsub(/&/, "%26", text); gsub(/\+/, "%2B", text)
    return text
}

BEGIN {
    body = "chat_name=" setting("CHAT_NAME", "sort_mail") "&customer=" escaped(ARGC > 1 ? ARGV[1] : "Ann") \
        "&content=" escaped(ARGC > 2 ? ARGV[2] : "My lamp broke. I want my money back.")
    gateway = "/inet/tcp/0/" setting("GATEWAY_HOST", "127.0.0.1") "/" setting("GATEWAY_PORT", 8099)
    PROCINFO[gateway, "READ_TIMEOUT"] = 130000
    printf "POST /task/chat HTTP/1.0\r\nX-Api-Key: %s\r\nContent-Length: %d\r\n\r\n%s",
        setting("GATEWAY_TOKEN", ""), length(body), body |& gateway

    if ((gateway |& getline) <= 0) { print "no answer" > "/dev/stderr"; exit 1 }
    status = $2
    while ((gateway |& getline line) > 0 && line != "\r")
        if (tolower(line) ~ /^content-length:/) size = substr(line, 16) + 0
    while ((gateway |& getline line) > 0) answer = answer line RT
    if (status != 200) { print answer > "/dev/stderr"; exit 1 }
    if (length(answer) != size) { print "the answer was cut off" > "/dev/stderr"; exit 1 }
    print answer == "refund" ? "refund: to the cashier" : answer ": to the office"
}
