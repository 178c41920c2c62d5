// Has the gateway sort a mail, with the WebClient that .NET has had since 1.1: it encodes a form by itself.
//
//   mcs Task.cs && mono Task.exe Ann 'My lamp broke. I want my money back.'
//
// Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs .NET Framework 2 or newer, or Mono.
// The task (CHAT_NAME, or sort_mail) has the prompt, and answers one word. WebClient gives up after 100 s.
using System;
using System.Collections.Specialized;
using System.IO;
using System.Net;
using System.Text;

class Task
{
    static string Setting(string name, string otherwise)
    {
        string value = Environment.GetEnvironmentVariable(name);
        return string.IsNullOrEmpty(value) ? otherwise : value;
    }

    static int Main(string[] arguments)
    {
        NameValueCollection form = new NameValueCollection();
        form["chat_name"] = Setting("CHAT_NAME", "sort_mail");
        form["customer"] = arguments.Length > 0 ? arguments[0] : "Ann";
        form["content"] = arguments.Length > 1 ? arguments[1] : "My lamp broke. I want my money back.";
        string host = Setting("GATEWAY_HOST", "127.0.0.1") + ":" + Setting("GATEWAY_PORT", "8099");
        WebClient client = new WebClient();
        client.Proxy = null;
        client.Headers["X-Api-Key"] = Setting("GATEWAY_TOKEN", "");
        try
        {
            byte[] bytes = client.UploadValues("http://" + host + "/task/chat", form);
            if (client.ResponseHeaders["Content-Length"] != bytes.Length.ToString())
                throw new WebException("the answer was cut off");
            string answer = Encoding.UTF8.GetString(bytes);
            Console.WriteLine(answer == "refund" ? "refund: to the cashier" : answer + ": to the office");
            return 0;
        }
        catch (WebException error)
        {
            if (error.Response == null) Console.Error.WriteLine(error.Message);
            else Console.Error.WriteLine(new StreamReader(error.Response.GetResponseStream()).ReadToEnd());
            return 1;
        }
    }
}
