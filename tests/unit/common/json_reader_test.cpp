#include "common/core/json_reader.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "tests/unit/common/messages.hpp"

namespace svc {
namespace {

using namespace std::chrono_literals;
using nlohmann::json;
using test::message;

TEST(JsonReader, AbsentOrNull_LeavesTheTargetAlone) {
  const json object = json::parse(R"({"nil": null})");
  JsonReader reader(object, "registry");
  std::string text = "kept";
  int number = 7;
  double real = 1.5;
  bool flag = true;
  Duration wait = 3s;
  std::vector<std::string> list{"kept"};
  for (const char* key : {"absent", "nil"}) {
    EXPECT_FALSE(reader.text(key, text));
    EXPECT_FALSE(reader.integer(key, number, 1, 2));
    EXPECT_FALSE(reader.number(key, real, 8, 9));
    EXPECT_FALSE(reader.flag(key, flag));
    EXPECT_FALSE(reader.duration(key, wait, 1s, 2s));
    EXPECT_FALSE(reader.text_list(key, list));
    EXPECT_FALSE(reader.choice(key, text, list));
    EXPECT_EQ(reader.object(key), nullptr);
    EXPECT_EQ(reader.array(key), nullptr);
  }
  EXPECT_EQ(text, "kept");
  EXPECT_EQ(number, 7);
  EXPECT_EQ(real, 1.5);
  EXPECT_TRUE(flag);
  EXPECT_EQ(wait, 3s);
  EXPECT_EQ(list, std::vector<std::string>{"kept"});
  EXPECT_FALSE(reader.error().has_value());
}

TEST(JsonReader, ObjectAndArray_AreHandedOut) {
  const json object = json::parse(R"({"o": {"x": 1}, "a": [1], "n": 5})");
  JsonReader reader(object, "");
  ASSERT_NE(reader.object("o"), nullptr);
  EXPECT_EQ(reader.object("o")->dump(), R"({"x":1})");
  ASSERT_NE(reader.array("a"), nullptr);
  EXPECT_EQ(reader.object("n"), nullptr);
  EXPECT_EQ(message(reader), "'n' must be an object, got 5");
  JsonReader other(object, "");
  EXPECT_EQ(other.array("o"), nullptr);
  EXPECT_EQ(message(other), "'o' must be an array, got an object");
}

TEST(JsonReader, Required_NamesTheFirstMissingField) {
  const json object = json::parse(R"({"name": "x", "host": null})");
  JsonReader top(object, "");
  EXPECT_TRUE(top.required("name"));
  EXPECT_FALSE(top.required("host"));
  EXPECT_FALSE(top.required("port"));
  EXPECT_EQ(message(top), "Missing required field: host");
  JsonReader nested(object, "servers[3]");
  EXPECT_FALSE(nested.required("port"));
  EXPECT_EQ(message(nested), "Missing required field: servers[3].port");
}

TEST(JsonReader, Known_SuggestsTheNearestName) {
  constexpr std::string_view kKeys[] = {"port", "host"};
  struct Row {
    std::string object;
    std::string message;
  };
  const Row rows[] = {
      {R"({"port": 1, "host": 2})", ""},
      {R"({})", ""},
      {R"({"prot": 1})", "unknown key 'a.b.prot'; did you mean 'port'?"},
      {R"({"entirely_else": 1})", "unknown key 'a.b.entirely_else'"},
      {R"({"": 1})", "unknown key 'a.b.'"},
      {R"({"x\ny": 1})", R"(unknown key 'a.b.x\ny')"},
      {"{\"" + std::string(100'000, 'k') + "\": 1}", "unknown key 'a.b." + std::string(60, 'k') + "...'"},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(row.message);
    const json object = json::parse(row.object);
    JsonReader reader(object, "a.b");
    EXPECT_EQ(reader.known(kKeys), row.message.empty());
    EXPECT_EQ(message(reader), row.message);
  }
}

TEST(JsonReader, NotAnObject_IsTheFirstError) {
  struct Row {
    json value;
    std::string path;
    std::string message;
  };
  const Row rows[] = {
      {json(5), "registry", "'registry' must be an object, got 5"},
      {json::array(), "", "the JSON text must be an object, got an array"},
      {json(nullptr), "", "the JSON text must be an object, got null"},
  };
  for (const Row& row : rows) {
    JsonReader reader(row.value, row.path);
    int number = 7;
    EXPECT_FALSE(reader.integer("port", number, 1, 2));
    EXPECT_FALSE(reader.required("port"));
    EXPECT_FALSE(reader.known({}));
    EXPECT_EQ(message(reader), row.message);
  }
}

TEST(JsonReader, SeveralErrors_OnlyTheFirstIsKept) {
  const json object = json::parse(R"({"a": "x", "b": "y", "c": 3})");
  JsonReader reader(object, "");
  int number = 0;
  EXPECT_FALSE(reader.integer("a", number, 0, 9));
  EXPECT_FALSE(reader.integer("b", number, 0, 9));
  EXPECT_TRUE(reader.integer("c", number, 0, 9));
  EXPECT_EQ(number, 3);
  reader.fail("c", "must be even");
  EXPECT_EQ(message(reader), R"('a' must be an integer from 0 to 9, got "x")");
  EXPECT_EQ(reader.error()->code, Errc::invalid_argument);
  EXPECT_EQ(reader.error()->source, ErrorSource::client);
}

TEST(JsonReader, Fail_NamesThePlace) {
  const json object = json::object();
  JsonReader reader(object, "registry");
  reader.fail("tls_key", "is needed with 'tls_cert'");
  EXPECT_EQ(message(reader), "'registry.tls_key' is needed with 'tls_cert'");
}

}  // namespace
}  // namespace svc
