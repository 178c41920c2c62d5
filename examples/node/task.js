// Has the gateway sort a mail, from a Node.js of 2013: core modules and ES5 only.
//
//   node task.js Ann 'My lamp broke. I want my money back.'
//
// Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Node 0.10 or newer.
// The task (CHAT_NAME, or sort_mail) has the prompt, and answers one word.
var env = process.env;
var form = require('querystring').stringify({
  chat_name: env.CHAT_NAME || 'sort_mail',
  customer: process.argv[2] || 'Ann',
  content: process.argv[3] || 'My lamp broke. I want my money back.'
});
var options = {
  hostname: env.GATEWAY_HOST || '127.0.0.1',
  port: env.GATEWAY_PORT || 8099,
  path: '/task/chat',
  method: 'POST',
  headers: { 'X-Api-Key': env.GATEWAY_TOKEN || '' }
};

function fail(words) {
  console.error(words);
  process.exit(1);
}

var request = require('http').request(options, function (reply) {
  var answer = '';
  reply.setEncoding('utf8');
  reply.on('data', function (piece) { answer += piece; });
  reply.on('aborted', function () { fail('the answer was cut off'); });
  reply.on('end', function () {
    if (reply.statusCode !== 200) fail(answer);
    console.log(answer === 'refund' ? 'refund: to the cashier' : answer + ': to the office');
  });
});
request.setTimeout(130000, function () { request.abort(); });
request.on('error', function (error) { fail(error.message); });
request.end(form);
