' Asks a chat of the gateway, as VBScript, ASP, VBA and VB6 do: with WinHTTP's COM object.
'
'   set CHAT_NAME=shop_chat
'   cscript //nologo chat.vbs question
'
' Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Windows 2000 SP3 or newer, or Wine.
' The question goes out as JSON: VBScript has no URL encoding, and escaping JSON takes two Replaces. WinHttpRequest
' sends a string as UTF-8, and gives up after 30 s unless it is told otherwise. format=text: there is no JSON parser
' to read an answer with, and text is decoded by its charset.
Option Explicit
Dim question, http, environment
Set environment = CreateObject("WScript.Shell").Environment("PROCESS")

Function Setting(name, otherwise)
  Setting = environment(name)
  If Setting = "" Then Setting = otherwise
End Function

Function Quoted(text)
  Quoted = """" & Replace(Replace(text, "\", "\\"), """", "\""") & """"
End Function

If WScript.Arguments.Count > 0 Then
  question = WScript.Arguments(0)
Else
  question = ChrW(&H4F60) & ChrW(&H597D)
End If
Set http = CreateObject("WinHttp.WinHttpRequest.5.1")
http.SetTimeouts 5000, 5000, 30000, 130000
http.Open "POST", "http://" & Setting("GATEWAY_HOST", "127.0.0.1") & ":" & Setting("GATEWAY_PORT", "8099") & _
  "/local/chat?format=text", False
http.SetRequestHeader "Content-Type", "application/json"
http.SetRequestHeader "X-Api-Key", Setting("GATEWAY_TOKEN", "none")
http.Send "{""chat_name"": " & Quoted(Setting("CHAT_NAME", "local_chat")) & ", ""content"": " & Quoted(question) & "}"

WScript.Echo http.ResponseText
If http.Status <> 200 Then WScript.Quit 1
