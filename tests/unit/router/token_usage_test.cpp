#include "router/core/token_usage.hpp"

#include <gtest/gtest.h>

namespace svc::router {
namespace {

TEST(TokenUsage, Names_OfEachApi) {
  struct Case {
    std::string_view object;
    Usage wanted;
  };
  const Case cases[] = {
      {R"({"prompt_tokens":11,"completion_tokens":7,"prompt_tokens_details":{"cached_tokens":5}})",
       {11, 7, 5, true, true}},
      {R"({"prompt_tokens":11,"completion_tokens":7,"prompt_tokens_details":null})", {11, 7, 0, true, false}},
      {R"({"input_tokens":11,"input_tokens_details":{"cached_tokens":5},"output_tokens":7})", {11, 7, 5, true, true}},
      {R"({ "output_tokens" : 7 , "input_tokens" : 11 })", {11, 7, 0, true, false}},
      {R"({"input_tokens":11,"cache_creation_input_tokens":100,"cache_read_input_tokens":1000,"output_tokens":7})",
       {1111, 7, 1000, true, true}},
      {R"({"input_tokens":11,"cache_creation_input_tokens":null,"cache_read_input_tokens":0,"output_tokens":7})",
       {11, 7, 0, true, true}},
      {R"({"cache_read_input_tokens":9,"input_tokens":1})", {10, 0, 9, true, true}},
      {R"({"output_tokens":7})", {0, 7, 0, true, false}},
      // Proxies that state both: prompt_tokens is all of it.
      {R"({"prompt_tokens":11,"input_tokens":2,"cache_read_input_tokens":9,"completion_tokens":7,"output_tokens":7})",
       {11, 7, 0, true, false}},
  };
  for (const auto& [object, wanted] : cases) {
    const Usage usage = find_usage("{\"usage\":" + std::string(object) + "}").sum();
    EXPECT_EQ(usage.prompt_tokens, wanted.prompt_tokens) << object;
    EXPECT_EQ(usage.completion_tokens, wanted.completion_tokens) << object;
    EXPECT_EQ(usage.cached_tokens, wanted.cached_tokens) << object;
    EXPECT_EQ(usage.known, wanted.known) << object;
    EXPECT_EQ(usage.cached_known, wanted.cached_known) << object;
  }
}

TEST(TokenUsage, Merge_LaterValuesWinAndMissingOnesDoNot) {
  ToldUsage told;
  told.merge(find_usage(R"({"usage":{"input_tokens":5,"cache_read_input_tokens":10,"output_tokens":1}})"));
  told.merge(find_usage(R"({"usage":{"output_tokens":40}})"));
  told.merge(find_usage(R"({"usage":null})"));
  told.merge(find_usage(R"({"usage":{"input_tokens":null,"output_tokens":50}})"));
  EXPECT_EQ(told.sum().prompt_tokens, 15U);
  EXPECT_EQ(told.sum().completion_tokens, 50U);
  EXPECT_EQ(told.sum().cached_tokens, 10U);
  EXPECT_FALSE(ToldUsage{}.sum().known);
}

TEST(TokenUsage, Lookalikes_AreNotTaken) {
  const std::string_view texts[] = {"",
                                    "{}",
                                    R"({"usage":null})",
                                    R"({"usage":5})",
                                    R"({"usage":{}})",
                                    R"({"usage")",
                                    R"({"usage":{"prompt_tokens")",
                                    R"({"content":"\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":5}"})",
                                    R"({"usage":{"prompt_tokens":-1,"completion_tokens":"5"}})",
                                    R"({"usage":{"prompt_tokens":1.5}})",
                                    R"({"usage":{"completion_tokens":1e9}})",
                                    R"({"usage":{"completion_tokens":12345678901234567890}})",
                                    R"({"usage":{"output_tokens":12345678901234567890}})",
                                    R"({"usage":{"input_tokens":{"x":1},"output_tokens":[2]}})",
                                    R"({"usage":{"cache_read_input_tokens":5}})",
                                    R"({"usage":{"input_tokens_details":{"cached_tokens":5}}})",
                                    R"({"name":"usage"})",
                                    R"({"usage":{"input":1}})"};
  for (const std::string_view text : texts) {
    EXPECT_FALSE(find_usage(text).known()) << text;
    EXPECT_EQ(find_usage(text).sum().completion_tokens, 0U) << text;
  }
  EXPECT_TRUE(find_usage(R"({"usage":{"prompt_tokens":1},"x":{"usage":null}})").known());
}

}  // namespace
}  // namespace svc::router
