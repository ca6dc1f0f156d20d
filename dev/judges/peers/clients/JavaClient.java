import java.io.FileInputStream;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.WebSocket;
import java.nio.ByteBuffer;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.security.KeyStore;
import java.security.cert.CertificateFactory;
import java.util.Arrays;
import java.util.LinkedHashSet;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletionStage;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.TimeUnit;
import javax.net.ssl.SSLContext;
import javax.net.ssl.TrustManagerFactory;

/**
 * Java's own {@code java.net.http.WebSocket} as the client of an echo server.
 *
 * <pre>java JavaClient.java PREFIX URL TABLE CA_FILE</pre>
 *
 * Prints {@code ok - NAME} or {@code not ok - NAME: why} for each case; the exit code is 1 if one failed.
 */
public class JavaClient {
    static final int DEADLINE_SECONDS = 20;
    static HttpClient client;
    static URI uri;

    /** What arrives on one connection, in order: a String, a byte[], a Pong or a Closed. */
    record Pong(byte[] payload) {}
    record Closed(int code, String reason) {}

    static class Arrivals implements WebSocket.Listener {
        final BlockingQueue<Object> queue = new LinkedBlockingQueue<>();
        private final StringBuilder text = new StringBuilder();
        private final java.io.ByteArrayOutputStream binary = new java.io.ByteArrayOutputStream();

        @Override public CompletionStage<?> onText(WebSocket socket, CharSequence data, boolean last) {
            text.append(data);
            if (last) {
                queue.add(text.toString());
                text.setLength(0);
            }
            socket.request(1);
            return null;
        }

        @Override public CompletionStage<?> onBinary(WebSocket socket, ByteBuffer data, boolean last) {
            binary.writeBytes(bytes(data));
            if (last) {
                queue.add(binary.toByteArray());
                binary.reset();
            }
            socket.request(1);
            return null;
        }

        @Override public CompletionStage<?> onPong(WebSocket socket, ByteBuffer payload) {
            queue.add(new Pong(bytes(payload)));
            socket.request(1);
            return null;
        }

        @Override public CompletionStage<?> onClose(WebSocket socket, int code, String reason) {
            queue.add(new Closed(code, reason));
            return null;
        }

        @Override public void onError(WebSocket socket, Throwable error) {
            queue.add(error);
        }

        Object next() throws Exception {
            Object arrived = queue.poll(DEADLINE_SECONDS, TimeUnit.SECONDS);
            if (arrived == null) throw new AssertionError("nothing came within " + DEADLINE_SECONDS + " s");
            return arrived;
        }
    }

    static byte[] bytes(ByteBuffer buffer) {
        byte[] copy = new byte[buffer.remaining()];
        buffer.get(copy);
        return copy;
    }

    static Object payload(String written) {
        String[] parts = written.split(":", 3);
        switch (parts[0]) {
            case "text": return written.substring("text:".length());
            case "repeat": return parts[2].repeat(Integer.parseInt(parts[1]));
            case "bytes":
                byte[] bytes = new byte[Integer.parseInt(parts[1])];
                for (int at = 0; at < bytes.length; at++) bytes[at] = (byte) (at * 31 + 7);
                return bytes;
            default: throw new IllegalArgumentException("the table has a payload of an unknown kind: " + written);
        }
    }

    static void send(WebSocket socket, Object message, boolean last) throws Exception {
        var sent = message instanceof String text ? socket.sendText(text, last) : socket.sendBinary(ByteBuffer.wrap((byte[]) message), last);
        sent.get(DEADLINE_SECONDS, TimeUnit.SECONDS);
    }

    static Object part(Object whole, int number, int count) {
        int size = whole instanceof String text ? text.length() : ((byte[]) whole).length;
        int length = (size + count - 1) / count;
        int from = Math.min(size, number * length);
        int to = Math.min(size, from + length);
        return whole instanceof String text ? text.substring(from, to) : Arrays.copyOfRange((byte[]) whole, from, to);
    }

    static void want(boolean truth, String otherwise) {
        if (!truth) throw new AssertionError(otherwise);
    }

    static void comesBack(Arrivals arrivals, Object message) throws Exception {
        Object answer = arrivals.next();
        boolean same = message instanceof String ? message.equals(answer)
            : answer instanceof byte[] bytes && Arrays.equals(bytes, (byte[]) message);
        want(same, "a " + answer.getClass().getSimpleName() + " came back that is not what was sent: "
            + (answer instanceof byte[] ? "" : answer.toString().substring(0, Math.min(200, answer.toString().length()))));
    }

    static void end(WebSocket socket, Arrivals arrivals, int code, String reason) throws Exception {
        socket.sendClose(code, reason).get(DEADLINE_SECONDS, TimeUnit.SECONDS);
        Object last = arrivals.next();
        want(last instanceof Closed closed && closed.code() == code, last + " came in the place of the answer to Close " + code);
    }

    /** Plays one case; false if this client has no call for it. */
    static boolean play(String verb, String[] values) throws Exception {
        switch (verb) {
            case "echo": case "fragments": case "ping": case "many": break;
            // Java's client cannot send a Close without a code.
            case "close": if (values[0].equals("-")) return false; else break;
            default: return false;
        }
        Arrivals arrivals = new Arrivals();
        WebSocket socket = client.newWebSocketBuilder().buildAsync(uri, arrivals).get(DEADLINE_SECONDS, TimeUnit.SECONDS);
        try {
            switch (verb) {
                case "echo" -> {
                    send(socket, payload(values[0]), true);
                    comesBack(arrivals, payload(values[0]));
                }
                case "fragments" -> {
                    int count = Integer.parseInt(values[1]);
                    for (int number = 0; number < count; number++) {
                        send(socket, part(payload(values[0]), number, count), number == count - 1);
                    }
                    comesBack(arrivals, payload(values[0]));
                }
                case "ping" -> {
                    byte[] sent = ((String) payload(values[0])).getBytes(StandardCharsets.UTF_8);
                    socket.sendPing(ByteBuffer.wrap(sent)).get(DEADLINE_SECONDS, TimeUnit.SECONDS);
                    Object answer = arrivals.next();
                    want(answer instanceof Pong pong && Arrays.equals(pong.payload(), sent), answer + " came in the place of the Pong");
                }
                case "many" -> {
                    int count = Integer.parseInt(values[0]);
                    for (int number = 0; number < count; number++) send(socket, String.valueOf(number), true);
                    for (int number = 0; number < count; number++) comesBack(arrivals, String.valueOf(number));
                }
                default -> { }
            }
            boolean closes = verb.equals("close");
            end(socket, arrivals, closes ? Integer.parseInt(values[0]) : 1000, closes && values.length > 1 ? values[1] : "");
        } finally {
            socket.abort();
        }
        return true;
    }

    static HttpClient client(String caFile) throws Exception {
        var certificates = CertificateFactory.getInstance("X.509").generateCertificates(new FileInputStream(caFile));
        KeyStore store = KeyStore.getInstance(KeyStore.getDefaultType());
        store.load(null, null);
        int number = 0;
        for (var certificate : certificates) store.setCertificateEntry("ca" + number++, certificate);
        var trust = TrustManagerFactory.getInstance(TrustManagerFactory.getDefaultAlgorithm());
        trust.init(store);
        SSLContext context = SSLContext.getInstance("TLS");
        context.init(null, trust.getTrustManagers(), null);
        return HttpClient.newBuilder().sslContext(context).build();
    }

    public static void main(String[] arguments) throws Exception {
        // Names of cases are Korean, too, whatever the locale says.
        var out = new java.io.PrintStream(new java.io.FileOutputStream(java.io.FileDescriptor.out), true, StandardCharsets.UTF_8);
        String prefix = arguments[0];
        uri = URI.create(arguments[1]);
        client = client(arguments[3]);
        int failures = 0;
        var leftOut = new LinkedHashSet<String>();
        for (String line : Files.readAllLines(Path.of(arguments[2]))) {
            if (line.isEmpty() || line.startsWith("#") || line.startsWith("asked-")) continue;
            String[] columns = line.split("\t", -1);
            try {
                if (play(columns[0], Arrays.copyOfRange(columns, 2, columns.length))) out.println("ok - " + prefix + columns[1]);
                else leftOut.add(columns[1]);
            } catch (Throwable failure) {
                failures++;
                Throwable cause = failure instanceof java.util.concurrent.ExecutionException && failure.getCause() != null ? failure.getCause() : failure;
                out.println("not ok - " + prefix + columns[1] + ": " + String.valueOf(cause).replaceAll("\\s+", " "));
            }
        }
        if (!leftOut.isEmpty()) out.println("left out - " + prefix + String.join(", ", leftOut) + ": this client has no call for it");
        System.exit(failures == 0 ? 0 : 1);
    }
}
