// Asks a chat of the gateway, from a Node.js of 2013: core modules and ES5 only.
//
//   CHAT_NAME=shop_chat node chat.js 你好
//
// Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Node 0.10 or newer.
// format=text: the bare answer. No Content-Length is given, so Node sends the request in chunks: the gateway reads them.
var http = require('http');
var querystring = require('querystring');

var env = process.env;
var body = querystring.stringify({
  chat_name: env.CHAT_NAME || 'local_chat',
  content: process.argv[2] || '你好'
});
var options = {
  hostname: env.GATEWAY_HOST || '127.0.0.1',
  port: env.GATEWAY_PORT || 8099,
  path: '/local/chat?format=text',
  method: 'POST',
  headers: { 'Content-Type': 'application/x-www-form-urlencoded', 'X-Api-Key': env.GATEWAY_TOKEN || '' }
};

function fail(words) {
  console.error(words);
  process.exit(1);
}

var request = http.request(options, function (reply) {
  var answer = '';
  reply.setEncoding('utf8');
  reply.on('data', function (piece) { answer += piece; });
  reply.on('aborted', function () { fail('the answer was cut off'); });
  reply.on('end', function () {
    if (reply.statusCode !== 200) fail(answer);
    console.log(answer);
  });
});
request.setTimeout(130000, function () { request.abort(); });
request.on('error', function (error) { fail(error.message); });
request.write(body);
request.end();
