// Asks a chat of the gateway, with the HttpURLConnection that Java has had since 1.1.
//
//   javac Chat.java && CHAT_NAME=shop_chat java Chat 你好
//
// Settings: GATEWAY_HOST, GATEWAY_PORT, GATEWAY_TOKEN, CHAT_NAME. Needs Java 5 or newer.
// format=text: Java has no JSON parser of its own. An error's words are in the error stream: getInputStream throws.
// request_id: HttpURLConnection silently sends a POST again when the connection drops; so it is answered, and paid, once.
import java.io.*;
import java.net.*;
import java.util.*;

public class Chat {
    static String setting(String name, String otherwise) {
        String value = System.getenv(name);
        return value == null || value.length() == 0 ? otherwise : value;
    }

    static String field(String name, String value) throws IOException {
        return name + "=" + URLEncoder.encode(value, "UTF-8") + "&";
    }

    public static void main(String[] arguments) throws IOException {
        String question = arguments.length > 0 ? arguments[0] : "\u4f60\u597d";
        String body = field("chat_name", setting("CHAT_NAME", "local_chat")) + field("content", question)
            + field("request_id", UUID.randomUUID().toString());
        String host = setting("GATEWAY_HOST", "127.0.0.1") + ":" + setting("GATEWAY_PORT", "8099");
        HttpURLConnection call = (HttpURLConnection) new URL("http://" + host + "/local/chat?format=text").openConnection();
        call.setRequestProperty("X-Api-Key", setting("GATEWAY_TOKEN", ""));
        call.setConnectTimeout(10000);
        call.setReadTimeout(130000);
        call.setDoOutput(true);
        OutputStream out = call.getOutputStream();
        out.write(body.getBytes("US-ASCII"));
        out.close();

        boolean good = call.getResponseCode() == 200;
        InputStream in = good ? call.getInputStream() : call.getErrorStream();
        byte[] bytes = new byte[call.getContentLength()];
        new DataInputStream(in).readFully(bytes); // an EOFException is an answer that was cut off
        String answer = new String(bytes, "UTF-8");
        new PrintStream(good ? System.out : System.err, true, "UTF-8").println(answer);
        System.exit(good ? 0 : 1);
    }
}
