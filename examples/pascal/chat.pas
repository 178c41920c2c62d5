{ Asks a chat of the gateway in GBK, with Free Pascal's fphttpclient.

    fpc chat.pas && CHAT_NAME=shop_chat ./chat question-in-GBK

  Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Free Pascal 3 with its FCL.
  charset=gbk: this program's strings are bytes of GBK, as they are on a Chinese Windows before Unicode; the question
  declares it in its Content-Type, the answer is asked for in it. format=text: the bare answer.
  Post returns an error's words as it returns an answer: ResponseStatusCode tells which. }
program chat;
{$mode objfpc}{$H+}
uses
  Classes, SysUtils, fphttpclient;

const
  Hello = #$C4#$E3#$BA#$C3;

function Setting(const Name, Default: string): string;
begin
  Result := GetEnvironmentVariable(Name);
  if Result = '' then Result := Default;
end;

function Ask(const Question: string; out Answer: string): Boolean;
var
  Client: TFPHTTPClient;
begin
  Client := TFPHTTPClient.Create(nil);
  try
    Client.IOTimeout := 130000;
    Client.AddHeader('Content-Type', 'application/x-www-form-urlencoded; charset=gbk');
    Client.AddHeader('X-Api-Key', Setting('GATEWAY_TOKEN', ''));
    Client.RequestBody := TStringStream.Create('chat_name=' + Setting('CHAT_NAME', 'local_chat') +
      '&content=' + EncodeURLElement(Question));
    Answer := Client.Post('http://' + Setting('GATEWAY_HOST', '127.0.0.1') + ':' +
      Setting('GATEWAY_PORT', '8099') + '/local/chat?format=text&charset=gbk');
    Result := Client.ResponseStatusCode = 200;
    if Result and (Client.GetHeader(Client.ResponseHeaders, 'Content-Length') <> IntToStr(Length(Answer))) then
      raise Exception.Create('the answer was cut off');
  finally
    Client.RequestBody.Free;
    Client.Free;
  end;
end;

var
  Question, Answer: string;
begin
  Question := ParamStr(1);
  if Question = '' then Question := Hello;
  try
    if Ask(Question, Answer) then begin WriteLn(Answer); Halt(0); end;
  except
    on Trouble: Exception do Answer := Trouble.Message;
  end;
  if Answer = '' then Answer := 'no answer';
  WriteLn(StdErr, Answer);
  Halt(1);
end.
