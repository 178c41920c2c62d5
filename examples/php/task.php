<?php
// Has the gateway sort a mail, with file_get_contents: no curl extension, PHP 5 or newer.
//
//   php task.php Ann 'My lamp broke. I want my money back.'
//
// Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs allow_url_fopen, which is on by default.
// The task (CHAT_NAME, or sort_mail) has the prompt, and answers one word. PHP drops every body that is not 200:
// the task is deployed with "status": 200, and an error begins with ERROR.

function setting($name, $otherwise)
{
    return getenv($name) ? getenv($name) : $otherwise;
}

$argv += array(1 => 'Ann', 2 => 'My lamp broke. I want my money back.');
$context = stream_context_create(array('http' => array(
    'method' => 'POST',
    'header' => "Content-Type: application/x-www-form-urlencoded\r\nX-Api-Key: " . setting('GATEWAY_TOKEN', ''),
    'content' => http_build_query(
        array('chat_name' => setting('CHAT_NAME', 'sort_mail'), 'customer' => $argv[1], 'content' => $argv[2]), '', '&'
    ),
    'timeout' => 130,
)));
$host = setting('GATEWAY_HOST', '127.0.0.1') . ':' . setting('GATEWAY_PORT', '8099');
$answer = @file_get_contents("http://$host/task/chat", false, $context);

if ($answer !== false && !in_array('Content-Length: ' . strlen($answer), $http_response_header)) {
    fwrite(STDERR, "the answer was cut off\n");
    exit(1);
}
if ($answer === false || strncmp($answer, 'ERROR ', 6) === 0) {
    $error = error_get_last();
    fwrite(STDERR, ($answer === false ? $error['message'] : $answer) . "\n");
    exit(1);
}
echo $answer === 'refund' ? 'refund: to the cashier' : "$answer: to the office", "\n";
