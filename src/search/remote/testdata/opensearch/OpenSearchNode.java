import java.nio.file.Path;
import java.util.List;
import java.util.Map;
import org.opensearch.analysis.common.CommonAnalysisPlugin;
import org.opensearch.common.logging.LogConfigurator;
import org.opensearch.common.settings.Settings;
import org.opensearch.node.InternalSettingsPreparer;
import org.opensearch.node.Node;
import org.opensearch.transport.Netty4Plugin;

/** One OpenSearch node in this JVM, from the artifacts on Maven Central: no distribution is needed. Arguments: a folder for its data, a port. */
public class OpenSearchNode extends Node {
  OpenSearchNode(Settings settings) {
    super(
        InternalSettingsPreparer.prepareEnvironment(settings, Map.of(), null, () -> "sleuth-test"),
        List.of(Netty4Plugin.class, CommonAnalysisPlugin.class),
        false);
  }

  public static void main(String[] args) throws Exception {
    Settings settings =
        Settings.builder()
            .put("path.home", Path.of(args[0]).toAbsolutePath().toString())
            .put("http.port", args[1])
            .put("http.host", "127.0.0.1")
            .put("transport.host", "127.0.0.1")
            .put("discovery.type", "single-node")
            .put("cluster.routing.allocation.disk.threshold_enabled", false)
            .put("node.name", "sleuth-test")
            .build();
    LogConfigurator.configureWithoutConfig(settings);
    Node node = new OpenSearchNode(settings);
    node.start();
    System.out.println("OpenSearch answers at http://127.0.0.1:" + args[1]);
    Thread.currentThread().join();
  }
}
