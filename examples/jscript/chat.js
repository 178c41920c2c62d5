// Asks a chat of the gateway, from JScript on Windows, with MSXML's COM object.
//
//   set CHAT_NAME=shop_chat
//   cscript //nologo chat.js question
//
// Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME; HTTP_OBJECT=WinHttp.WinHttpRequest.5.1 is the other way.
// Needs Windows 2000 or newer, or Wine. JScript has no JSON before version 5.8, but encodeURIComponent, hence a form.
// format=text: the bare answer. In UTF-8: XMLHTTP reads every reply as that, whatever charset it declares.
var environment = new ActiveXObject('WScript.Shell').Environment('PROCESS');

function setting(name, otherwise) {
  return environment.Item(name) || otherwise;
}

var question = WScript.Arguments.length ? WScript.Arguments.Item(0) : '\u4f60\u597d';
var host = setting('GATEWAY_HOST', '127.0.0.1') + ':' + setting('GATEWAY_PORT', '8099');
var http = new ActiveXObject(setting('HTTP_OBJECT', 'MSXML2.XMLHTTP'));
http.open('POST', 'http://' + host + '/local/chat?format=text', false);
http.setRequestHeader('Content-Type', 'application/x-www-form-urlencoded');
http.setRequestHeader('X-Api-Key', setting('GATEWAY_TOKEN', 'none'));
http.send('chat_name=' + setting('CHAT_NAME', 'local_chat') + '&content=' + encodeURIComponent(question));

WScript.Echo(http.responseText);
if (http.status !== 200) WScript.Quit(1);
