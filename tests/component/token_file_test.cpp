// The file with the token that a daemon shows to another.
#include "common/io/token_file.hpp"

#include <gtest/gtest.h>

#include "tests/support/temp_folder.hpp"

namespace svc {
namespace {

TEST(TokenFile, Texts_FirstWordOfTheFirstLineThatSaysSomething) {
  const test::TempFolder folder;
  struct Case {
    const char* text;
    const char* token;  ///< nullptr: refused
  };
  for (const auto& [text, token] : {Case{"secret", "secret"}, Case{"# mine\n\n  secret write\nother read\n", "secret"},
                                    Case{"secret\r\n", "secret"}, Case{"", nullptr}, Case{"# only\n", nullptr},
                                    Case{"s\xc3\xa9"
                                         "cret\n",
                                         nullptr}}) {
    const auto read = read_token_file(folder.write("token", text));
    EXPECT_EQ(read.has_value(), token != nullptr) << text;
    if (read && token != nullptr) {
      EXPECT_EQ(*read, token);
    }
  }
  EXPECT_TRUE(read_token_file(folder.write("token", std::string(4096, 'x'))).has_value());
  const auto too_long = read_token_file(folder.write("token", std::string(4097, 'x')));
  ASSERT_FALSE(too_long.has_value());
  EXPECT_EQ(too_long.error().to_string().find("xxx"), std::string::npos) << "the text is never shown";
}

TEST(TokenFile, NoPath_NoToken_MissingFile_Error) {
  EXPECT_EQ(*read_token_file(""), "");
  const auto missing = read_token_file("/nonexistent/token");
  ASSERT_FALSE(missing.has_value());
  EXPECT_NE(missing.error().to_string().find("/nonexistent/token"), std::string::npos);
}

}  // namespace
}  // namespace svc
