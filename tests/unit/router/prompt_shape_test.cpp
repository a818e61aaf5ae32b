#include <gtest/gtest.h>

#include "prefix_fixture.hpp"
#include "router/core/request_facts.hpp"

namespace svc::router {
namespace {

std::size_t shared_blocks(const PromptShape& a, const PromptShape& b) {
  std::size_t n = 0;
  while (n < a.blocks.size() && n < b.blocks.size() && a.blocks[n].hash == b.blocks[n].hash) ++n;
  return n;
}

PromptShape shape_of_body(const std::string& body, std::string_view model = "m") {
  static FactsReader reader;
  const std::string padded = body + std::string(FactsReader::kPadding, '}');
  RequestFacts facts;
  PromptShape shape;
  const auto reading = reader.read(std::string_view(padded).substr(0, body.size()), {.prompt = true}, facts);
  reading.shape_prompt(model, 256, shape);
  return shape;
}

TEST(PromptShape, Blocks_EndEveryBlockBytesAndWhereAMessageEnds) {
  const auto shape = shape_of({{"system", text_of(600, 1)}, {"user", text_of(256, 2)}, {"user", text_of(10, 3)}});
  std::vector<std::uint32_t> ends;
  for (const auto& block : shape.blocks) ends.push_back(block.end);
  EXPECT_EQ(ends, (std::vector<std::uint32_t>{256, 512, 600, 856, 866}));
  EXPECT_EQ(shape.units, 866U);
  EXPECT_EQ(shape.end_hash, shape.blocks.back().hash);
}

TEST(PromptShape, OneMoreTurn_HasAllBlocksOfTheTurnsBefore) {
  std::vector<Turn> turns = {{"system", text_of(700, 1)}, {"user", text_of(300, 2)}};
  const auto first = shape_of(turns);
  turns.push_back({"assistant", text_of(900, 3)});
  turns.push_back({"user", text_of(100, 4)});
  const auto second = shape_of(turns);
  EXPECT_EQ(shared_blocks(first, second), first.blocks.size());
  EXPECT_EQ(second.blocks[first.blocks.size()].answer_blocks, 4U);
}

TEST(PromptShape, WhatDiffersBefore_DiffersInEveryLaterBlock) {
  const std::string text = text_of(5000, 7);
  const auto base = shape_of({{"user", text}});
  EXPECT_EQ(shared_blocks(base, shape_of({{"user", "x" + text}})), 0U);
  EXPECT_EQ(shared_blocks(base, shape_of({{"system", text}})), 0U) << "the role";
  EXPECT_EQ(shared_blocks(base, shape_of({{"user", text}}, 256, "other")), 0U) << "the model";
  auto late = text;
  late[2000] = '!';
  EXPECT_EQ(shared_blocks(base, shape_of({{"user", late}})), 2000U / 256U);
}

TEST(PromptShape, BytesOutsideOfAscii_AreCounted) {
  for (std::size_t size = 0; size < 80; ++size) {
    std::string text = text_of(size, 1);
    for (std::size_t at = 0; at < size; at += 3) text[at] = '\xE4';
    EXPECT_EQ(shape_of({{"user", text}}).other, (size + 2) / 3) << size;
  }
  for (const std::size_t size : {2015U, 2016U, 2017U, 4096U, 100'000U}) {
    EXPECT_EQ(shape_of({{"user", std::string(size, '\xFF')}}).other, size);
    EXPECT_EQ(shape_of({{"user", std::string(size, '\x7F')}}).other, 0U);
  }
}

TEST(PromptShape, EmptyPrompt_HasNoBlocks) {
  EXPECT_TRUE(shape_of({}).blocks.empty());
  EXPECT_EQ(shape_of({}).end_hash, 0U);
  EXPECT_TRUE(shape_of({{"user", ""}}).blocks.empty());
}

TEST(PromptShape, HugePrompts_AreCountedButCutOff) {
  const auto shape = shape_of({{"user", std::string((PromptHasher::kMaxBlocks + 10) * 16, 'a')}}, 16);
  EXPECT_EQ(shape.blocks.size(), PromptHasher::kMaxBlocks);
  EXPECT_EQ(shape.units, (PromptHasher::kMaxBlocks + 10) * 16);
}

TEST(PromptShape, Body_OrderOfFieldsAndEscapesDoNotMatter) {
  const auto a = shape_of_body(R"({"model":"m","messages":[{"role":"system","content":"be \u0061 poet"},
      {"role":"user","content":[{"type":"text","text":"hi"}]}],"tools":[{"type":"function"}]})");
  const auto b = shape_of_body(R"({"tools":[{"type":"function"}],"temperature":1,"messages":[{"content":"be a poet",
      "role":"system"},{"content":[{"text":"hi","type":"text"}],"role":"user"}]})");
  ASSERT_EQ(a.blocks.size(), 3U);
  EXPECT_EQ(shared_blocks(a, b), 3U);
  EXPECT_EQ(a.end_hash, b.end_hash);
}

TEST(PromptShape, Body_EverythingThatTheEngineReadsCounts) {
  const auto base = shape_of_body(R"({"messages":[{"role":"user","content":"hi"}]})");
  for (const char* other : {
           R"({"messages":[{"role":"user","content":"ho"}]})",
           R"({"messages":[{"role":"system","content":"hi"}]})",
           R"({"messages":[{"role":"user","content":"hi"}],"tools":[1]})",
           R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,1"}}]}]})",
           R"({"messages":[{"role":"user","content":[{"type":"image_url","image_url":{"url":"data:,2"}}]}]})",
           R"({"messages":[{"role":"user","content":"hi","tool_calls":[{"id":"1"}]}]})",
           R"({"prompt":"hi"})",
           R"({"prompt":[1,2,3]})",
           R"({"prompt":[1,2,4]})",
       }) {
    const auto shape = shape_of_body(other);
    ASSERT_FALSE(shape.blocks.empty()) << other;
    EXPECT_NE(shape.end_hash, base.end_hash) << other;
  }
}

TEST(PromptShape, Body_TokenIdsShareTheirBeginning) {
  std::string ids;
  for (int i = 1000; i < 1400; ++i) ids += std::to_string(i) + ", ";
  const auto a = shape_of_body(R"({"prompt":[)" + ids + "7]}");
  const auto b = shape_of_body(R"({"prompt":[)" + ids + "8, 9]}");
  EXPECT_GE(shared_blocks(a, b), 400 * 5 / 256 - 1) << "their blanks do not count";
  EXPECT_NE(a.end_hash, b.end_hash);
}

TEST(PromptShape, Body_WhatIsTheSamePrompt_HasTheSameBlocks) {
  const std::pair<const char*, const char*> cases[] = {
      {"{\"messages\":[{\"role\":\"user\",\"content\":\"hi\"}],\"tools\" : [ {\n\t\"name\" : \"a \\\" b\" } ]\r\n}",
       R"({"messages":[{"role":"user","content":"hi"}],"tools":[{"name":"a \" b"}]})"},
      {R"({"messages":[{"role":"assistant","tool_calls": [ {"id": "1", "x": [1, 2]} ] }]})",
       R"({"messages":[{"role":"assistant","tool_calls":[{"id":"1","x":[1,2]}]}]})"},
      {R"({"messages":[{"role":"user","content":[{"image_url": {"url": "data:,1"} }]}]})",
       R"({"messages":[{"role":"user","content":[{"image_url":{"url":"data:,1"}}]}]})"},
      {R"({"prompt":[1, 2, 3]})", R"({"prompt":[1,2,3]})"},
      {R"({"prompt":[ [1,2, 3] ]})", R"({"prompt":[1,2,3]})"},
      {R"({"prompt":["hi"]})", R"({"prompt":"hi"})"},
      {R"({"input":"hi"})", R"({"messages":[{"role":"user","content":"hi"}]})"},
      {R"({"input":["hi"]})", R"({"input":"hi"})"},
      {R"({"input":[[1, 2]]})", R"({"input":[1,2]})"},
      {R"({"input":[{"role":"user","content":[{"type":"input_text","text":"hi"}]}],"instructions":"be brief"})",
       R"({"messages":[{"role":"system","content":"be brief"},{"role":"user","content":"hi"}]})"},
      {R"({"messages":[{"role":"user","content":"hi"}],"system":[{"type":"text","text":"be brief"}]})",
       R"({"system":"be brief","messages":[{"role":"user","content":"hi"}]})"},
      {R"({"input":"no","messages":[{"role":"user","content":"hi"}],"prompt":"no"})",
       R"({"messages":[{"role":"user","content":"hi"}]})"},
  };
  for (const auto& [one, other] : cases) {
    const auto shape = shape_of_body(one);
    EXPECT_NE(shape.end_hash, 0U) << one;
    EXPECT_EQ(shape.end_hash, shape_of_body(other).end_hash) << one;
    EXPECT_EQ(shape.units, shape_of_body(other).units) << one;
  }
}

TEST(PromptShape, Body_EveryApiWeighsWhatItSays) {
  const std::string text = text_of(3000, 1);
  const std::string quoted = '"' + text + '"';
  for (const std::string& body : {
           R"({"input":)" + quoted + "}",
           R"({"input":[)" + quoted + "]}",
           R"({"input":[{"role":"user","content":)" + quoted + "}]}",
           R"({"input":[{"type":"function_call_output","call_id":"1","output":)" + quoted + "}]}",
           R"({"input":[{"type":"function_call","arguments":)" + quoted + "}]}",
           R"({"instructions":)" + quoted + "}",
           R"({"system":)" + quoted + R"(,"messages":[]})",
           R"({"system":[{"type":"text","text":)" + quoted + "}]}",
           R"({"messages":[{"content":[{"type":"tool_result","content":[{"type":"text","text":)" + quoted + "}]}]}]}",
       }) {
    EXPECT_EQ(shape_of_body(body).units, text.size()) << body.substr(0, 80);
    EXPECT_GE(shape_of_body(body).blocks.size(), text.size() / 256) << body.substr(0, 80);
  }
  const auto call =
      shape_of_body(R"({"messages":[{"content":[{"type":"tool_use","input":{"text": )" + quoted + "}}]}]}");
  EXPECT_EQ(call.units, text.size() + std::string_view(R"({"text":""})").size());
  for (const char* image : {R"({"image_url":"data:,1"})", R"({"source":{"data":"1"}})"}) {
    const auto shape = shape_of_body(std::string(R"({"input":[{"role":"user","content":[)") + image + "]}]}");
    EXPECT_EQ(shape.units, PromptParts::kOpaqueUnits) << image;
  }
}

TEST(PromptShape, Body_AnyShapeIsBorne) {
  for (const char* body : {"{}", "[]", "x", R"({"messages":3})", R"({"messages":[3,null,[],{"content":null}]})",
                           R"({"messages":[{"role":7,"content":{"a":1}}]})", R"({"prompt":{"a":1}})",
                           R"({"messages":[{"content":"a"},{"content":"b")", R"({"tools":"no","messages":[]})",
                           R"({"input":{"role":"user"}})", R"({"input":[null,3,[],{},[[1]],{"content":[[]]}]})",
                           R"({"system":3,"instructions":[1,{}]})", R"({"input":[[1,2} ,3]})", R"({"prompt":[[})"}) {
    const auto shape = shape_of_body(body);
    EXPECT_LE(shape.blocks.size(), 2U) << body;
  }
}

TEST(PromptShape, Body_FieldThatComesTwice_TheLastCounts) {
  const auto twice = shape_of_body(R"({"messages":[{"role":"user","content":"no"}],
      "messages":[{"role":"user","content":"yes"}]})");
  EXPECT_EQ(twice.end_hash, shape_of_body(R"({"messages":[{"role":"user","content":"yes"}]})").end_hash);
}

TEST(PromptShape, Body_ContentThatComesTwiceInAMessage_TheLastCounts) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"messages":[{"content":"no","role":"user","content":"yes"}]})",
       R"({"messages":[{"role":"user","content":"yes"}]})"},
      {R"({"messages":[{"role":"user","content":[{"text":"no"},{"image_url":"no"}],"content":"yes","content":"yes"}]})",
       R"({"messages":[{"role":"user","content":"yes"}]})"},
      {R"({"messages":[{"content":"a"},{"content":"no","tool_calls":[1],"content":null},{"content":"b"}]})",
       R"({"messages":[{"content":"a"},{"tool_calls":[1]},{"content":"b"}]})"},
      {R"({"input":[{"content":"no","arguments":"{}","content":"yes"}]})",
       R"({"input":[{"arguments":"{}","content":"yes"}]})"},
  };
  for (const auto& [twice, once] : cases) {
    EXPECT_EQ(shape_of_body(twice).end_hash, shape_of_body(once).end_hash) << twice;
    EXPECT_EQ(shape_of_body(twice).units, shape_of_body(once).units) << twice;
  }
}

TEST(PromptShape, Reading_OfNothing_IsTheEmptyPrompt) {
  auto shape = shape_of_body(R"({"prompt":"left over"})");
  FactsReader::Reading().shape_prompt("m", 256, shape);
  EXPECT_EQ(shape.units, 0U);
  EXPECT_EQ(shape.end_hash, 0U);
  EXPECT_TRUE(shape.blocks.empty());
}

TEST(PromptShape, Reading_OfWhatIsNoObjectOrWasNotAskedFor_HasNothingOfTheBodyBefore) {
  FactsReader reader;
  RequestFacts facts;
  PromptShape shape;
  const std::string prompt = R"({"prompt":"of somebody else"})" + std::string(FactsReader::kPadding, ' ');
  const std::string none = "[1]" + std::string(FactsReader::kPadding, ' ');
  for (const bool asked : {true, false}) {
    reader.read(prompt, {.prompt = true}, facts);
    const auto reading = reader.read(asked ? none : prompt, {.prompt = asked}, facts);
    reading.shape_prompt("m", 256, shape);
    EXPECT_EQ(shape.end_hash, 0U) << asked;
  }
}

TEST(TokenRatio, Guess_FollowsTheScript) {
  const auto latin = shape_of({{"user", text_of(4200, 1)}});
  EXPECT_NEAR(TokenRatio::guess(latin), 1000, 1);
  std::string han;
  for (int i = 0; i < 1000; ++i) han += "\xE4\xBD\xA0";
  EXPECT_NEAR(TokenRatio::guess(shape_of({{"user", han}})), 3000 / TokenRatio::kCjk, 1);
  std::string code;
  for (int i = 0; i < 100; ++i) code += "for (int i = 0; i < n; ++i) { a[i] = b(i); }\n";
  EXPECT_NEAR(TokenRatio::guess(shape_of({{"user", code}})), static_cast<double>(code.size()) / TokenRatio::kCode, 1);
  EXPECT_GE(TokenRatio::guess(shape_of({})), 1);
}

TEST(TokenRatio, Learn_ComesCloseAndIgnoresOutliers) {
  TokenRatio ratio;
  const auto shape = shape_of({{"user", text_of(8400, 1)}});  // guessed: 2000
  for (int i = 0; i < 50; ++i) ratio.learn(shape, 2600);
  EXPECT_NEAR(ratio.tokens(shape), 2600, 30);
  ratio.learn(shape, 1'000'000);
  EXPECT_LT(ratio.tokens(shape), 2600 * 1.05);
  ratio.learn(shape, 0);
  ratio.learn(shape_of({{"user", "hi"}}), 30);  // nearly all of it is the template
  EXPECT_EQ(ratio.samples(), 51U);
}

}  // namespace
}  // namespace svc::router
