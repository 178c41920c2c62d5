/* Asks a chat of the gateway in GBK, from REXX by way of curl.

     CHAT_NAME=shop_chat rexx chat.rexx question-in-GBK

   Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Regina REXX and curl.
   charset=gbk: REXX's strings are bytes; the question declares its charset, the answer is asked for in it.
   format=text: REXX parses no JSON. curl takes all from its standard input (-K -): so no shell reads the question, and
   no list of processes shows the token. What curl writes last is the HTTP status. */
trace off                          /* a failing curl is reported below */
parse arg question
if question = '' then question = 'C4E3BAC3'x                          /* hello */
escaped = ''
do i = 1 to length(question)
  escaped = escaped'%'c2x(substr(question, i, 1))
end

host = setting('GATEWAY_HOST', '127.0.0.1')':'setting('GATEWAY_PORT', 8099)
call.0 = 6
call.1 = 'url = "http://'host'/local/chat?format=text&charset=gbk"'
call.2 = 'header = "X-Api-Key: 'setting('GATEWAY_TOKEN', '')'"'
call.3 = 'header = "Content-Type: application/x-www-form-urlencoded; charset=gbk"'
call.4 = 'data = "chat_name='setting('CHAT_NAME', 'local_chat')'"'
call.5 = 'data = "content='escaped'"'
call.6 = 'write-out = "\n%{http_code}"'
address system 'curl -sS -m 130 -K -' with input stem call. output stem reply. error stem trouble.

failed = rc                        /* such as 18: the answer was cut off */
last = reply.0
status = 0
if last > 0 then status = reply.last
to = '<stdout>'
if status \= 200 | failed \= 0 then to = '<stderr>'
do i = 1 to last - 1
  call lineout to, reply.i
end
do i = 1 to trouble.0
  call lineout '<stderr>', trouble.i
end
exit status \= 200 | failed \= 0

setting: procedure
  value = value(arg(1), , 'SYSTEM')
  if value = '' then value = arg(2)
  return value
