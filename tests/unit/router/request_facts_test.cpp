#include "router/core/request_facts.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <utility>

#include "common/core/clock.hpp"

namespace svc::router {
namespace {

/// As a data thread does it: the padding is readable, and may hold anything.
RequestFacts facts_of(const std::string& body, bool text_bytes = true, char padding = '}') {
  static FactsReader reader;
  const std::string padded = body + std::string(FactsReader::kPadding, padding);
  RequestFacts facts;
  facts.model = "left over";
  facts.complete = facts.stream = true;
  reader.read(std::string_view(padded).substr(0, body.size()), FactsWanted{.text_bytes = text_bytes}, facts);
  return facts;
}

std::string repeated(std::string_view text, std::size_t times) {
  std::string out;
  for (std::size_t i = 0; i < times; ++i) out += text;
  return out;
}

TEST(RequestFacts, ChatRequest_IsRead) {
  const auto facts = facts_of(R"( {"model": "qwen3-32b", "messages": [{"role": "user", "content": "hi"}],
    "stream": true, "user": "u-1", "prompt_cache_key": "k-1", "temperature": 0.7} )");
  EXPECT_TRUE(facts.is_object);
  EXPECT_TRUE(facts.complete);
  EXPECT_EQ(facts.model, "qwen3-32b");
  EXPECT_TRUE(facts.stream);
  EXPECT_EQ(facts.user, "u-1");
  EXPECT_EQ(facts.prompt_cache_key, "k-1");
  EXPECT_EQ(facts.text_bytes, 2U);
}

TEST(RequestFacts, WholeObjects_GiveTheirModel) {
  const std::pair<std::string, std::string> cases[] = {
      {"{}", ""},
      {R"({"model":"a"})", "a"},
      {R"({"model":""})", ""},
      {R"({"model":"a","model":"b"})", "b"},
      {R"({"model":"a","mod\u0065l":"b"})", "b"},
      {R"({"mod\u0065l":"b","model":"a"})", "a"},
      {R"({"\u006d\u006f\u0064\u0065\u006c":"b"})", "b"},
      {R"({"model":"a","model":1})", ""},
      {R"({"model":"a","model":null})", ""},
      {R"({"model":"a","Model":"b","model ":"c","model\u0000":"d"})", "a"},
      {R"({"model":"a\u0062\n\u4f60\ud83d\ude00"})", "ab\n\xE4\xBD\xA0\xF0\x9F\x98\x80"},
      {R"({"x":{"model":"no"},"y":[{"model":"no"}],"model":"a","z":{"model":"no"}})", "a"},
      {R"({"x":"\"model\":\"no\"","model":"a","y":"\\","z":"},\"model\":\"no\""})", "a"},
      {R"({"model":["a"]})", ""},
      {R"({"model":{"model":"a"}})", ""},
      {R"({"model":true,"prompt":[1,2,3]})", ""},
      {R"({"prompt":[[1,2],[3]],"model":"a"})", "a"},
      {R"({"prompt":{"x":[{}]},"messages":7,"model":"a"})", "a"},
      {R"({"messages":[1,"x",null,[],{},{"content":5},{"content":[7,{},{"text":{}}]}],"model":"a"})", "a"},
      {R"({"n":1e999999999,"m":-0.0e-999999,"model":"a"})", "a"},
      {R"({"n":NaN,"m":-Infinity,"model":"a"})", "a"},
      {"\xEF\xBB\xBF{\"model\":\"a\"}\r\n\t ", "a"},
      {"\n\r\t {\"model\"\n:\t\"a\"\r}", "a"},
      {"{\"n\":" + std::string(1'000'000, '7') + ",\"model\":\"a\"}", "a"},
  };
  for (const auto& [body, model] : cases) {
    for (const bool text_bytes : {false, true}) {
      const auto facts = facts_of(body, text_bytes);
      EXPECT_TRUE(facts.is_object) << body.substr(0, 100);
      EXPECT_TRUE(facts.complete) << body.substr(0, 100);
      EXPECT_EQ(facts.model, model) << body.substr(0, 100);
    }
  }
}

TEST(RequestFacts, WhatIsNoObject_GivesNothing) {
  const std::string bodies[] = {"",
                                " ",
                                "[]",
                                "[{\"model\":\"a\"}]",
                                "\"model\"",
                                "1",
                                "null",
                                "model=a",
                                "\xEF\xBB\xBF",
                                "\xEF\xBB\xBF\xEF\xBB\xBF{}",
                                "--x\r\n{\"model\":\"a\"}",
                                std::string("\0{\"model\":\"a\"}", 14),
                                "}",
                                "]",
                                "\x1f\x8b\x08\x00",
                                ":"};
  for (const std::string& body : bodies) {
    const auto facts = facts_of(body);
    EXPECT_FALSE(facts.is_object) << body;
    EXPECT_FALSE(facts.complete) << body;
    EXPECT_FALSE(facts.stream) << body;
    EXPECT_EQ(facts.model + facts.user + facts.prompt_cache_key, "") << body;
  }
}

// Whatever an engine might find in these, they cannot be used to name a model that was not checked.
TEST(RequestFacts, BrokenOrAmbiguousBodies_AreNotComplete) {
  const std::string bodies[] = {"{",
                                "{\"",
                                R"({"model")",
                                R"({"model":)",
                                R"({"model":"a)",
                                R"({"model":"a")",
                                R"({"model":"a",)",
                                R"({"model":"a"}{"model":"b"})",
                                R"({"model":"a"},)",
                                R"({"model":"a"}x)",
                                R"({"model":"a"}})",
                                R"({"model":"a"} "model")",
                                R"({"model":"a" "model":"b"})",
                                R"({"model":"a",,"model":"b"})",
                                R"({"model":"a";"model":"b"})",
                                R"({"model":"a","x":[1,2,"model":"b"})",
                                R"({"model":"a","x":{"model":"b"})",
                                R"({"model":"a","\ud800":1})",
                                R"({"model":"\ud800"})",
                                R"({"model":"\x"})",
                                R"({"model":"a","mod\u00":"b"})",
                                R"({"model":"a",'model':'b'})",
                                R"({"model":"a",model:"b"})",
                                R"({model:"a"})",
                                "{\"model\":\"a\",\"x\":\"\xff\"}",
                                "{\"model\":\"a\",\"x\":\"\xed\xa0\x80\"}",
                                "{\"model\":\"a\",\"x\":\"\n\"}",
                                std::string("{\0\"\0m\0o\0d\0e\0l\0\"\0:\0\"\0b\0\"\0}\0", 26),
                                R"({"model":"a"}/**/)",
                                R"({/*"model":"b",*/"model":"a"})",
                                "{\"model\":\"a\"}" + std::string(1, '\0')};
  for (const std::string& body : bodies) {
    for (const char padding : {'}', '"', ' ', '\0'}) {
      const auto facts = facts_of(body, true, padding);
      EXPECT_TRUE(facts.is_object) << body;
      EXPECT_FALSE(facts.complete) << body;
    }
  }
}

TEST(RequestFacts, DuplicatesOfOtherFields_TheLastCounts) {
  const auto facts = facts_of(R"({"stream":true,"user":"a","prompt_cache_key":"k","stream":false,"user":2,
                                  "prompt_cache_key":"l"})");
  EXPECT_FALSE(facts.stream);
  EXPECT_EQ(facts.user, "");
  EXPECT_EQ(facts.prompt_cache_key, "l");
  EXPECT_TRUE(facts.complete);
  EXPECT_FALSE(facts_of(R"({"stream":"true"})").stream);
  EXPECT_FALSE(facts_of(R"({"stream":1})").stream);
}

TEST(RequestFacts, TextBytes_CountMessagesElsePrompt) {
  const std::pair<std::string, std::uint64_t> cases[] = {
      {R"({"messages":[{"content":"abc"},{"content":"de"}]})", 5},
      {R"({"messages":[{"content":"\u4f60\n"}]})", 4},
      {R"({"messages":[{"content":[{"type":"text","text":"abc"},{"type":"image_url","image_url":{"url":"xxxx"}},
           {"content":"de"},"f"]}]})",
       6},
      {R"({"messages":[{"content":null},{"content":{"text":"x"}},{"content":12}]})", 0},
      {R"({"messages":[{"content":"a","content":"bc"}]})", 2},
      {R"({"messages":[{"content":"abc"}],"prompt":"long prompt"})", 3},
      {R"({"prompt":"long prompt","messages":[{"content":"abc"}]})", 3},
      {R"({"messages":[{"content":"abc"}],"messages":[{"content":"a"}]})", 1},
      {R"({"messages":"abc","prompt":"abcd"})", 4},
      {R"({"prompt":"abcd"})", 4},
      {R"({"prompt":["ab","c",[1,2],3]})", 3},
      {R"({"prompt":[1,2,3]})", 0},
      {R"({"input":"abcd","prompt":"no"})", 4},
      {R"({"input":["ab","c",1,[2],{"role":"user","content":"de"},{"content":[{"text":"f"}]}]})", 6},
      {R"({"input":"no","messages":[{"content":"abc"}]})", 3},
      {R"({"instructions":"ab","input":"c"})", 3},
      {R"({"system":"ab","messages":[{"content":"c"}]})", 3},
      {R"({"system":[{"type":"text","text":"ab"},"c"],"messages":[]})", 3},
      {R"({"system":"no","system":null,"input":{"content":"no"},"prompt":"a"})", 1},
      {R"({"inputs":"abc"})", 0},
  };
  for (const auto& [body, bytes] : cases) {
    EXPECT_EQ(facts_of(body).text_bytes, bytes) << body;
    EXPECT_TRUE(facts_of(body).complete) << body;
    EXPECT_EQ(facts_of(body, false).text_bytes, 0U) << body;
  }
}

#if defined(__OPTIMIZE__)
constexpr Duration kMostForHostileJson = std::chrono::milliseconds(10);
#else
// Unoptimised, under a sanitizer: recursion or quadratic work would still take seconds.
constexpr Duration kMostForHostileJson = std::chrono::milliseconds(200);
#endif

TEST(RequestFacts, DeepNesting_CostsLittleAndIsPassed) {
  const std::string deep = repeated("[", 10'000) + repeated("]", 10'000);
  const std::string objects = repeated(R"({"model":)", 10'000) + "1" + repeated("}", 10'000);
  for (const std::string& nested : {deep, objects}) {
    for (const std::string_view key : {"x", "messages", "prompt", "input", "system", "tools"}) {
      const std::string body = "{\"" + std::string(key) + "\":" + nested + ",\"model\":\"a\"}";
      facts_of(body);
      Duration best = std::chrono::hours(1);
      for (int i = 0; i < 3; ++i) {
        const TimePoint begin = steady_now();
        const auto facts = facts_of(body);
        best = std::min(best, Duration(steady_now() - begin));
        EXPECT_EQ(facts.model, "a");
        EXPECT_TRUE(facts.complete);
      }
      EXPECT_LE(best, kMostForHostileJson) << key;
    }
    EXPECT_FALSE(facts_of(nested.substr(0, nested.size() / 2)).complete);
  }
}

TEST(RequestFacts, LargeBody_DoesNotSpoilTheNextOne) {
  FactsReader reader;
  RequestFacts facts;
  for (const std::size_t size : {100U, 8U << 20U, 100U, 9U << 20U}) {
    std::string body = R"({"messages":[{"content":")" + std::string(size, 'x') + R"("}],"model":"a"})";
    const std::size_t length = body.size();
    body.append(FactsReader::kPadding, ' ');
    reader.read(std::string_view(body).substr(0, length), FactsWanted{true}, facts);
    EXPECT_EQ(facts.text_bytes, size);
    EXPECT_EQ(facts.model, "a");
    EXPECT_TRUE(facts.complete);
  }
}

}  // namespace
}  // namespace svc::router
