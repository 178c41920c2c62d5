/* Has the gateway sort a mail in GBK, from REXX by way of curl.

     rexx task.rexx customer mail-in-GBK

   Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Regina REXX and curl. The customer is one word.
   The task (CHAT_NAME, or sort_mail) has the prompt, and answers one word. It is deployed with "status": 200: an error
   begins with ERROR then, and curl -f fails with whatever is not the task's. curl takes all from its standard input. */
trace off                          /* a failing curl is reported below */
parse arg customer mail
if mail = '' then parse value 'Ann My lamp broke. I want my money back.' with customer mail
call.0 = 5
call.1 = 'url = "http://'setting('GATEWAY_HOST', '127.0.0.1')':'setting('GATEWAY_PORT', 8099)'/task/chat"'
call.2 = 'header = "X-Api-Key: 'setting('GATEWAY_TOKEN', '')'"'
call.3 = 'header = "Content-Type: application/x-www-form-urlencoded; charset=gbk"'
call.4 = 'data = "chat_name='setting('CHAT_NAME', 'sort_mail')'&customer='escaped(customer)'"'
call.5 = 'data = "content='escaped(mail)'"'
address system 'curl -fsS -m 130 -K -' with input stem call. output stem reply. error stem trouble.

if rc \= 0 then call fail trouble.1
if left(reply.1, 6) = 'ERROR ' then call fail reply.1
if reply.1 = 'refund' then say 'refund: to the cashier'
else say reply.1': to the office'
exit 0

fail:
  call lineout '<stderr>', arg(1)
  exit 1

escaped: procedure
  out = ''
  do i = 1 to length(arg(1))
    out = out'%'c2x(substr(arg(1), i, 1))
  end
  return out

setting: procedure
  value = value(arg(1), , 'SYSTEM')
  if value = '' then value = arg(2)
  return value
