#include "common/core/words.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace svc {
namespace {

using Words = std::vector<std::string>;

TEST(SplitWords, Text_BecomesTheWordsThatAShellSees) {
  struct Row {
    std::string text;
    Words words;
  };
  const Row rows[] = {
      {"", {}},
      {" \t\n ", {}},
      {"a", {"a"}},
      {"  --port 5001\t-v \n", {"--port", "5001", "-v"}},
      {"'a b' c", {"a b", "c"}},
      {"\"a b\"c", {"a bc"}},
      {"--x='a b'\"c d\"", {"--x=a bc d"}},
      {"'' \"\"", {"", ""}},
      {"a\\ b \\'", {"a b", "'"}},
      {R"('a\b"c')", {R"(a\b"c)"}},
      {R"("a\"b\\c\d\$e\`")", {R"(a"b\c\d$e`)"}},
      {"\"a\\\nb\"", {"ab"}},
      {"'it'\\''s'", {"it's"}},
      {"${PORT} $(x) *.cpp ~", {"${PORT}", "$(x)", "*.cpp", "~"}},
      {R"('{"kv_role": "kv_producer"}')", {R"({"kv_role": "kv_producer"})"}},
  };
  for (const Row& row : rows) {
    const auto words = split_words(row.text);
    ASSERT_TRUE(words.has_value()) << row.text;
    EXPECT_EQ(*words, row.words) << row.text;
  }
}

TEST(SplitWords, Unfinished_IsAnError) {
  for (const char* text : {"'a", "a 'b c", "\"a", "\"a\\\"", "'a\\", "\"a\\"}) {
    const auto words = split_words(text);
    ASSERT_TRUE(words.has_error()) << text;
    EXPECT_EQ(words.error().message, "has an open quote") << text;
  }
  EXPECT_EQ(split_words("a b\\").error().message, "ends in a backslash");
}

TEST(QuotedWord, Word_IsQuotedOnlyWhereNeeded) {
  EXPECT_EQ(quoted_word("--port=5001"), "--port=5001");
  EXPECT_EQ(quoted_word("/models/Qwen3-32B"), "/models/Qwen3-32B");
  EXPECT_EQ(quoted_word(""), "''");
  EXPECT_EQ(quoted_word("a b"), "'a b'");
  EXPECT_EQ(quoted_word("it's"), "'it'\\''s'");
  EXPECT_EQ(quoted_word("$HOME"), "'$HOME'");
  EXPECT_EQ(quoted_word("caf\xc3\xa9"), "caf\xc3\xa9");
}

TEST(JoinedWords, EveryByte_ComesBackWhenSplit) {
  Words words = {"", "plain", "two words", "'", "\"", "\\", "a\nb"};
  for (int c = 1; c < 256; ++c) words.push_back(std::string(1, static_cast<char>(c)) + "x");
  const auto again = split_words(joined_words(words));
  ASSERT_TRUE(again.has_value());
  EXPECT_EQ(*again, words);
}

}  // namespace
}  // namespace svc
