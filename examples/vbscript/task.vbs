' Has the gateway sort a mail, as VBScript, ASP, VBA and VB6 do: with WinHTTP's COM object.
'
'   cscript //nologo task.vbs Ann "My lamp broke. I want my money back."
'
' Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Windows 2000 SP3 or newer, or Wine.
' The task (CHAT_NAME, or sort_mail) has the prompt. In a form only % & + need escaping: the rest goes as UTF-8.
Option Explicit
Dim customer, mail, http, environment, office
Set environment = CreateObject("WScript.Shell").Environment("PROCESS")
customer = "Ann"
mail = "My lamp broke. I want my money back."
If WScript.Arguments.Count > 0 Then customer = WScript.Arguments(0)
If WScript.Arguments.Count > 1 Then mail = WScript.Arguments(1)

Function Setting(name, otherwise)
  Setting = environment(name)
  If Setting = "" Then Setting = otherwise
End Function

Function Escaped(text)
  Escaped = Replace(Replace(Replace(text, "%", "%25"), "&", "%26"), "+", "%2B")
End Function

Set http = CreateObject("WinHttp.WinHttpRequest.5.1")
http.SetTimeouts 5000, 5000, 30000, 130000
http.Open "POST", "http://" & Setting("GATEWAY_HOST", "127.0.0.1") & ":" & Setting("GATEWAY_PORT", "8099") & _
  "/task/chat", False
http.SetRequestHeader "Content-Type", "application/x-www-form-urlencoded"
http.SetRequestHeader "X-Api-Key", Setting("GATEWAY_TOKEN", "none")
http.Send "chat_name=" & Setting("CHAT_NAME", "sort_mail") & "&customer=" & Escaped(customer) & "&content=" & Escaped(mail)

office = ": to the office"
If http.ResponseText = "refund" Then office = ": to the cashier"
If http.Status <> 200 Then office = ""
WScript.Echo http.ResponseText & office
If http.Status <> 200 Then WScript.Quit 1
