// Has the gateway sort a mail, from JScript on Windows, with MSXML's COM object.
//
//   cscript //nologo task.js Ann "My lamp broke. I want my money back."
//
// Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME; HTTP_OBJECT=WinHttp.WinHttpRequest.5.1 is the other way.
// Needs Windows 2000 or newer, or Wine. The task (CHAT_NAME, or sort_mail) has the prompt, and answers one word.
var environment = new ActiveXObject('WScript.Shell').Environment('PROCESS'), given = WScript.Arguments;

function setting(name, otherwise) {
  return environment.Item(name) || otherwise;
}
var mail = given.length > 1 ? given.Item(1) : 'My lamp broke. I want my money back.';
var http = new ActiveXObject(setting('HTTP_OBJECT', 'MSXML2.XMLHTTP'));
var host = setting('GATEWAY_HOST', '127.0.0.1') + ':' + setting('GATEWAY_PORT', '8099');
http.open('POST', 'http://' + host + '/task/chat', false);
http.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded');
http.setRequestHeader('X-Api-Key', setting('GATEWAY_TOKEN', 'none'));
http.send('chat_name=' + setting('CHAT_NAME', 'sort_mail') + '&customer=' +
  encodeURIComponent(given.length ? given.Item(0) : 'Ann') + '&content=' + encodeURIComponent(mail));

var answer = http.responseText;
if (http.status !== 200) { WScript.Echo(answer); WScript.Quit(1); }
WScript.Echo(answer === 'refund' ? 'refund: to the cashier' : answer + ': to the office');
