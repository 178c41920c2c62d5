{ Has the gateway sort a mail in GBK, with Free Pascal's fphttpclient.

    fpc task.pas && ./task customer-in-GBK mail-in-GBK

  Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Free Pascal 3 with its FCL.
  The task (CHAT_NAME, or sort_mail) has the prompt, and answers one word; the form declares the charset of its bytes.
  Post returns an error's words as it returns an answer: ResponseStatusCode tells which. }
program task;
{$mode objfpc}{$H+}
uses
  Classes, SysUtils, fphttpclient;

function Given(const Value, Default: string): string;
begin
  if Value = '' then Result := Default else Result := Value;
end;

var
  Client: TFPHTTPClient;
  Host, Answer: string;
begin
  Host := Given(GetEnvironmentVariable('GATEWAY_HOST'), '127.0.0.1') + ':' +
    Given(GetEnvironmentVariable('GATEWAY_PORT'), '8099');
  Client := TFPHTTPClient.Create(nil);
  Client.IOTimeout := 130000;
  Client.AddHeader('Content-Type', 'application/x-www-form-urlencoded; charset=gbk');
  Client.AddHeader('X-Api-Key', GetEnvironmentVariable('GATEWAY_TOKEN'));
  Client.RequestBody := TStringStream.Create(
    'chat_name=' + Given(GetEnvironmentVariable('CHAT_NAME'), 'sort_mail') +
    '&customer=' + EncodeURLElement(Given(ParamStr(1), 'Ann')) +
    '&content=' + EncodeURLElement(Given(ParamStr(2), 'My lamp broke. I want my money back.')));
  try
    Answer := Client.Post('http://' + Host + '/task/chat');
  except
    on Trouble: Exception do Answer := Trouble.Message;
  end;
  if Client.ResponseStatusCode <> 200 then begin WriteLn(StdErr, Answer); Halt(1); end;
  if Client.GetHeader(Client.ResponseHeaders, 'Content-Length') <> IntToStr(Length(Answer)) then Halt(1);  { cut off }
  if Answer = 'refund' then WriteLn('refund: to the cashier') else WriteLn(Answer, ': to the office');
end.
