{ Asks a chat of the gateway in GBK, with Free Pascal's fphttpclient.

    fpc chat.pas && CHAT_NAME=shop_chat ./chat question-in-GBK

  Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Free Pascal 3 with its FCL.
  charset=gbk: this program's strings are bytes of GBK, as they are on a Chinese Windows before Unicode; the question
  declares it in its Content-Type, the answer is asked for in it. format=text: the bare answer.
  The empty list of codes lets HTTPMethod return an error's words too: FormPost would raise without them. }
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
  Reply: TStringStream;
begin
  Client := TFPHTTPClient.Create(nil);
  Reply := TStringStream.Create('');
  try
    Client.IOTimeout := 130000;
    Client.AddHeader('Content-Type', 'application/x-www-form-urlencoded; charset=gbk');
    Client.AddHeader('X-Api-Key', Setting('GATEWAY_TOKEN', ''));
    Client.RequestBody := TStringStream.Create('chat_name=' + Setting('CHAT_NAME', 'local_chat') +
      '&content=' + EncodeURLElement(Question));
    Client.HTTPMethod('POST', 'http://' + Setting('GATEWAY_HOST', '127.0.0.1') + ':' +
      Setting('GATEWAY_PORT', '8099') + '/local/chat?format=text&charset=gbk', Reply, []);
    Answer := Reply.DataString;
    Result := Client.ResponseStatusCode = 200;
  finally
    Client.RequestBody.Free;
    Client.Free;
    Reply.Free;
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
  WriteLn(StdErr, Answer);
  Halt(1);
end.
