// Has the gateway sort a mail, with the HttpURLConnection that Java has had since 1.1.
//
//   javac Task.java && java Task Ann 'My lamp broke. I want my money back.'
//
// Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Java 5 or newer.
// The task (CHAT_NAME, or sort_mail) has the prompt, and answers one word. An error's words are in the error stream.
// request_id: HttpURLConnection silently sends a POST again when the connection drops; so it is answered, and paid, once.
import java.io.*;
import java.net.*;
import java.util.*;

public class Task {
    static String setting(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.length() == 0 ? otherwise : value;
    }

    public static void main(String[] arguments) throws IOException {
        String mail = arguments.length > 1 ? arguments[1] : "My lamp broke. I want my money back.";
        String form = "chat_name=" + setting("CHAT_NAME", "sort_mail")
            + "&customer=" + URLEncoder.encode(arguments.length > 0 ? arguments[0] : "Ann", "UTF-8")
            + "&content=" + URLEncoder.encode(mail, "UTF-8") + "&request_id=" + UUID.randomUUID();
        String host = setting("GATEWAY_HOST", "127.0.0.1") + ":" + setting("GATEWAY_PORT", "8099");
        HttpURLConnection call = (HttpURLConnection) new URL("http://" + host + "/task/chat").openConnection();
        call.setRequestProperty("X-Api-Key", setting("GATEWAY_TOKEN", ""));
        call.setConnectTimeout(10000);
        call.setReadTimeout(130000);
        call.setDoOutput(true);
        call.getOutputStream().write(form.getBytes("US-ASCII"));

        boolean good = call.getResponseCode() == 200;
        InputStream in = good ? call.getInputStream() : call.getErrorStream();
        byte[] bytes = new byte[call.getContentLength()];
        new DataInputStream(in).readFully(bytes); // an EOFException is an answer that was cut off
        String answer = new String(bytes, "UTF-8");
        if (good) System.out.println(answer.equals("refund") ? "refund: to the cashier" : answer + ": to the office");
        else System.err.println(answer);
        System.exit(good ? 0 : 1);
    }
}
