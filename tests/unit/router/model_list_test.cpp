#include "router/core/model_list.hpp"

#include <gtest/gtest.h>

namespace svc::router {
namespace {

using Strings = std::vector<std::string>;

TEST(MergeModels, FullObjectOfTheFirst_WinsOverLaterOnesAndBareIds) {
  const Strings first{"a", "b"};
  const Strings second{"a"};
  const std::vector<ModelSource> sources = {
      {first, R"({"models_list":[{"id":"b","object":"model","max_model_len":4096}]})"},
      {second, R"({"models_list":[{"id":"b","owned_by":"late"},{"id":"a","owned_by":"vllm"}]})"}};
  const auto entries = merge_models(sources, {}, 7);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].json, R"({"id":"a","owned_by":"vllm"})");
  EXPECT_EQ(entries[1].json, R"({"id":"b","object":"model","max_model_len":4096})");
}

TEST(MergeModels, BareIds_GetAnObject) {
  const Strings models{"m"};
  const std::vector<ModelSource> sources = {{models, "{}"}};
  const auto entries = merge_models(sources, {}, 1700000000);
  ASSERT_EQ(entries.size(), 1U);
  EXPECT_EQ(entries[0].json, R"({"id":"m","object":"model","created":1700000000,"owned_by":"infinilm"})");
}

TEST(MergeModels, Aliases_ListedWhenTheirModelIs) {
  const Strings models{"m"};
  const std::vector<ModelSource> sources = {{models, R"({"models_list":[{"id":"m"}]})"}};
  const auto entries = merge_models(sources, {{"gpt", "m"}, {"other", "gone"}, {"m", "m"}}, 0);
  ASSERT_EQ(entries.size(), 2U);
  EXPECT_EQ(entries[0].json, R"({"id":"gpt","root":"m"})");
  EXPECT_EQ(entries[1].id, "m");
}

TEST(MergeModels, OddMetadata_HasNone) {
  const Strings none;
  for (const char* metadata :
       {"", "{", "[]", R"({"models_list":5})", R"({"models_list":[1,"x",{"id":5},{"name":"x"},null]})"}) {
    const std::vector<ModelSource> sources = {{none, metadata}};
    EXPECT_TRUE(merge_models(sources, {}, 0).empty()) << metadata;
  }
}

TEST(ModelListJson, IsCompact) {
  EXPECT_EQ(model_list_json({}), R"({"object":"list","data":[]})");
  const std::vector<ModelEntry> two = {{"a", R"({"id":"a"})"}, {"b", R"({"id":"b"})"}};
  EXPECT_EQ(model_list_json(two), R"({"object":"list","data":[{"id":"a"},{"id":"b"}]})");
}

TEST(ParseModelIds, EveryShapeThatEnginesAnswer) {
  EXPECT_EQ(parse_model_ids(R"({"object":"list","data":[{"id":"a","object":"model"},{"id":"b"}]})"),
            (Strings{"a", "b"}));
  EXPECT_EQ(parse_model_ids(R"([{"id":"a"},"b",{"id":"a"}])"), (Strings{"a", "b"}));
  EXPECT_EQ(parse_model_ids(R"({"data":["a"]})"), (Strings{"a"}));
}

TEST(ParseModelIds, Nonsense_IsEmpty) {
  for (const char* body : {"", "not json", "5", "{}", R"({"data":5})", R"([[],{},{"id":5},{"id":""},null])"}) {
    EXPECT_TRUE(parse_model_ids(body).empty()) << body;
  }
  EXPECT_TRUE(parse_model_ids("[\"" + std::string(513, 'x') + "\"]").empty());
}

TEST(ParseModelIds, Bounded) {
  std::string body = "[";
  for (int i = 0; i < 1500; ++i) body += (i == 0 ? "\"m" : ",\"m") + std::to_string(i) + "\"";
  EXPECT_EQ(parse_model_ids(body + "]").size(), 1000U);
}

}  // namespace
}  // namespace svc::router
