// Asks a chat of the gateway, with the HttpWebRequest that .NET has had since 1.0.
//
//   mcs Chat.cs && CHAT_NAME=shop_chat mono Chat.exe 你好
//
// Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs .NET Framework 2 or newer, or Mono.
// format=text: the framework of that age parses no JSON. An error's words are in the WebException's own response.
// HttpWebRequest declares no Content-Type, asks "Expect: 100-continue" before it sends, and gives up after 100 s.
using System;
using System.IO;
using System.Net;
using System.Text;

class Chat
{
    static string Setting(string name, string otherwise)
    {
        string value = Environment.GetEnvironmentVariable(name);
        return string.IsNullOrEmpty(value) ? otherwise : value;
    }

    static string Text(WebResponse response)
    {
        byte[] bytes = new BinaryReader(response.GetResponseStream()).ReadBytes((int)response.ContentLength);
        if (bytes.Length < response.ContentLength) throw new WebException("the answer was cut off");
        return Encoding.UTF8.GetString(bytes);
    }

    static int Main(string[] arguments)
    {
        Console.OutputEncoding = new UTF8Encoding(false);
        string question = arguments.Length > 0 ? arguments[0] : "你好";
        string body = "chat_name=" + Setting("CHAT_NAME", "local_chat") + "&content=" + Uri.EscapeDataString(question);
        byte[] bytes = Encoding.ASCII.GetBytes(body);
        string host = Setting("GATEWAY_HOST", "127.0.0.1") + ":" + Setting("GATEWAY_PORT", "8099");
        HttpWebRequest request = (HttpWebRequest)WebRequest.Create("http://" + host + "/local/chat?format=text");
        request.Method = "POST";
        request.ContentType = "application/x-www-form-urlencoded";
        request.Headers["X-Api-Key"] = Setting("GATEWAY_TOKEN", "");
        request.Timeout = 130000;
        request.Proxy = null;
        try
        {
            using (Stream stream = request.GetRequestStream()) stream.Write(bytes, 0, bytes.Length);
            Console.WriteLine(Text(request.GetResponse()));
            return 0;
        }
        catch (WebException error)
        {
            Console.Error.WriteLine(error.Response == null ? error.Message : Text(error.Response));
            return 1;
        }
    }
}
