#include "common/core/bearer_tokens.hpp"

#include <gtest/gtest.h>

#include <string>

namespace svc {
namespace {

const std::string kReader = "reader-token-0123456789";
const std::string kWriter = "writer-token-0123456789";

TEST(BearerTokens, GoodFile_GivesEachTokenItsScope) {
  const auto tokens =
      BearerTokens::parse("# tokens\n\n" + kReader + " read\r\n\t" + kWriter + "\t write \n#" + kReader + "x read");
  ASSERT_TRUE(tokens.has_value()) << tokens.error().message;
  EXPECT_FALSE(tokens->empty());
  EXPECT_EQ(tokens->size(), 2U);
  EXPECT_EQ(tokens->scope_of(kReader), TokenScope::read);
  EXPECT_EQ(tokens->scope_of(kWriter), TokenScope::write);
  EXPECT_EQ(to_string(TokenScope::read), "read");
  EXPECT_EQ(to_string(TokenScope::write), "write");
}

TEST(BearerTokens, AnythingElse_HasNoScope) {
  const auto tokens = BearerTokens::parse(kReader + " read\n");
  ASSERT_TRUE(tokens.has_value());
  for (const std::string& presented :
       {std::string(), kReader + "x", kReader.substr(1), kReader.substr(0, kReader.size() - 1), kReader + " ",
        std::string(kReader).replace(0, 1, "R"), kReader + std::string(1, '\0'), std::string(1'000'000, 'a'),
        kWriter}) {
    EXPECT_EQ(tokens->scope_of(presented), std::nullopt);
  }
}

TEST(BearerTokens, Default_IsEmptyAndKnowsNobody) {
  const BearerTokens none;
  EXPECT_TRUE(none.empty());
  EXPECT_EQ(none.scope_of(""), std::nullopt);
  EXPECT_EQ(none.scope_of(kReader), std::nullopt);
}

TEST(BearerTokens, BadFile_NamesTheLineAndNotTheToken) {
  const std::string good = kReader + " read\n";
  struct Row {
    std::string file;
    std::string message;
  };
  const Row rows[] = {
      {"", "token file: there is no token in it"},
      {"\n \n# only a comment\n", "token file: there is no token in it"},
      {good + kWriter, "token file, line 2: expected '<token> read' or '<token> write'"},
      {kWriter + " admin", "token file, line 1: the scope must be 'read' or 'write'"},
      {kWriter + " READ", "token file, line 1: the scope must be 'read' or 'write'"},
      {kWriter + " read write", "token file, line 1: the scope must be 'read' or 'write'"},
      {kWriter + " read # x", "token file, line 1: the scope must be 'read' or 'write'"},
      {"short read", "token file, line 1: a token must have 16 to 256 characters"},
      {std::string(15, 'a') + " read", "token file, line 1: a token must have 16 to 256 characters"},
      {std::string(257, 'a') + " read", "token file, line 1: a token must have 16 to 256 characters"},
      {"0123456789abcde\xc3\xa9 read", "token file, line 1: a token may have visible ASCII characters only"},
      {std::string("0123456789abcdef\0 read", 22),
       "token file, line 1: a token may have visible ASCII characters only"},
      {good + "\n" + kReader + " write\n", "token file, line 3: the token of line 1 again"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.message);
    const auto tokens = BearerTokens::parse(row.file);
    ASSERT_TRUE(tokens.has_error());
    EXPECT_EQ(tokens.error().message, row.message);
    EXPECT_EQ(tokens.error().message.find("0123456789"), std::string::npos);
  }
}

TEST(BearerTokens, LengthBounds_AreInclusive) {
  const std::string shortest(16, 'a');
  const std::string longest(256, 'b');
  const auto tokens = BearerTokens::parse(shortest + " read\n" + longest + " write");
  ASSERT_TRUE(tokens.has_value()) << tokens.error().message;
  EXPECT_EQ(tokens->scope_of(shortest), TokenScope::read);
  EXPECT_EQ(tokens->scope_of(longest), TokenScope::write);
}

TEST(BearerOf, Value_GivesTheToken) {
  struct Row {
    std::string value;
    std::optional<std::string_view> token;
  };
  const Row rows[] = {
      {"Bearer abc", "abc"},
      {"bearer abc", "abc"},
      {"BEARER   abc  ", "abc"},
      {"\tBearer abc", "abc"},
      {"Bearer a.b-c_d~e+f/g==", "a.b-c_d~e+f/g=="},
      {"", std::nullopt},
      {"Bearer", std::nullopt},
      {"Bearer ", std::nullopt},
      {"Bearerabc", std::nullopt},
      {"Bearer\tabc", std::nullopt},
      {"Bearer:abc", std::nullopt},
      {"Basic YWJj", std::nullopt},
      {"abc", std::nullopt},
      {"Bearer a b", std::nullopt},
      {"Bearer abc, Bearer def", std::nullopt},
      {"Bearer a\xc3\xa9", std::nullopt},
      {std::string("Bearer a\0b", 10), std::nullopt},
      {"Bearer ' OR 1=1 --", std::nullopt},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.value);
    EXPECT_EQ(bearer_of(row.value), row.token);
  }
}

}  // namespace
}  // namespace svc
