<?php
// Asks a chat of the gateway, with file_get_contents: no curl extension, PHP 5 or newer.
//
//   CHAT_NAME=shop_chat php chat.php 你好
//
// Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs allow_url_fopen, which is on by default.
// status=200: PHP drops every body that is not 200, and an error's words would be lost; they begin with ERROR.
// format=text: the bare answer. Without `timeout`, PHP would give up after default_socket_timeout, 60 s.

function setting($name, $otherwise)
{
    $value = getenv($name);
    return $value === false || $value === '' ? $otherwise : $value;
}

$question = isset($argv[1]) ? $argv[1] : '你好';
$host = setting('GATEWAY_HOST', '127.0.0.1') . ':' . setting('GATEWAY_PORT', '8099');
$context = stream_context_create(array('http' => array(
    'method' => 'POST',
    'header' => "Content-Type: application/x-www-form-urlencoded\r\nX-Api-Key: " . setting('GATEWAY_TOKEN', ''),
    'content' => http_build_query(
        array('chat_name' => setting('CHAT_NAME', 'local_chat'), 'content' => $question), '', '&'
    ),
    'timeout' => 130,
)));
$answer = @file_get_contents("http://$host/local/chat?format=text&status=200", false, $context);

if ($answer !== false && !in_array('Content-Length: ' . strlen($answer), $http_response_header)) {
    fwrite(STDERR, "the answer was cut off\n");
    exit(1);
}
if ($answer === false || strncmp($answer, 'ERROR ', 6) === 0) {
    $error = error_get_last();
    fwrite(STDERR, ($answer === false ? $error['message'] : $answer) . "\n");
    exit(1);
}
echo $answer, "\n";
