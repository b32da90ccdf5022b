/*
 * Writes the words of the texts of lucene-words.tsv anew, as Lucene's StandardTokenizer cuts them: text, tab, word, tab, word, …
 * Made with lucene-core 10.6.0: java -cp lucene-core-10.6.0.jar LuceneWords.java lucene-words.tsv
 */
import java.io.StringReader;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import org.apache.lucene.analysis.standard.StandardTokenizer;
import org.apache.lucene.analysis.tokenattributes.CharTermAttribute;

public class LuceneWords {
  public static void main(String[] arguments) throws Exception {
    Path file = Path.of(arguments[0]);
    var lines = new ArrayList<String>();
    var tokenizer = new StandardTokenizer();
    var term = tokenizer.addAttribute(CharTermAttribute.class);
    for (String line : Files.readAllLines(file)) {
      var fields = new ArrayList<String>();
      fields.add(line.split("\t")[0]);
      tokenizer.setReader(new StringReader(fields.get(0)));
      tokenizer.reset();
      while (tokenizer.incrementToken()) fields.add(term.toString());
      tokenizer.end();
      tokenizer.close();
      lines.add(String.join("\t", fields));
    }
    Files.write(file, lines);
  }
}
