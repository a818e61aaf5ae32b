#include "registry/core/probe_target.hpp"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

#include "tests/unit/registry/fixture.hpp"

namespace svc::registry {
namespace {

/// One target per word: the url, then "?refused" or "?404" for what leads to the next one.
std::string targets(std::string_view host, std::uint16_t port, std::string_view url, std::string_view metadata) {
  wire::ServiceSpec spec = test::make_spec("a", std::string(host), port);
  spec.url = url;
  spec.metadata_json = metadata;
  std::string text;
  for (const auto& target : probe_targets(spec, wire::facts_of(metadata))) {
    if (!text.empty()) text += ' ';
    text += target.url;
    if (target.next_only_if_refused) text += "?refused";
    if (target.next_if_not_served) text += "?404";
  }
  return text;
}

struct TargetCase {
  std::string_view host;
  std::uint16_t port;
  std::string_view url, metadata, expected;
};

TEST(ProbeTargets, Of_EachKindOfService_AreTriedInOrder) {
  const TargetCase cases[] = {
      {"h", 8000, "http://h:8000", "{}", "http://h:8000/health"},
      {"h", 8000, "http://h:8000/", "{}", "http://h:8000/health"},
      {"h", 8000, "http://h:8000/base//", "{}", "http://h:8000/base/health"},
      {"h", 8000, "https://h:8000/base", "{}", "https://h:8000/base/health"},
      {"h", 8000, "http://h:8000/base?key=1", "{}", "http://h:8000/base/health"},
      {"h", 8000, "http://h:8000", R"({"type":"InfiniLM"})", "http://h:8000/health"},
      {"h", 8000, "http://h:8000", R"({"type":"OpenAI-API"})", "http://h:8000/health"},
      {"h", 8000, "http://h:8000", R"({"type":"openai-api"})",
       "http://h:8001/health?refused http://h:8000/health?404 http://h:8000/v1/models?404 http://h:8000/models"},
      {"h", 8000, "http://other:9/x/", R"({"type":"openai-api"})",
       "http://h:8001/health?refused http://other:9/x/health?404 http://other:9/x/v1/models?404 "
       "http://other:9/x/models"},
      {"::1", 8000, "http://[::1]:8000", R"({"type":"openai-api"})",
       "http://[::1]:8001/health?refused http://[::1]:8000/health?404 http://[::1]:8000/v1/models?404 "
       "http://[::1]:8000/models"},
      {"h", 65534, "http://h:65534", R"({"type":"openai-api"})",
       "http://h:65535/health?refused http://h:65534/health?404 http://h:65534/v1/models?404 http://h:65534/models"},
      {"h", 65535, "http://h:65535", R"({"type":"openai-api"})",
       "http://h:65535/health?404 http://h:65535/v1/models?404 http://h:65535/models"},
      {"h", 8000, "http://h:8000", R"({"type":"openai-api","health_url":"http://z:1/alive?deep=1"})",
       "http://z:1/alive?deep=1"},
      {"h", 8000, "http://h:8000", R"({"health_url":7})", "http://h:8000/health"},
      {"h", 8000, "http://h:8000", R"({"health_url":""})", "http://h:8000/health"},
  };
  for (const auto& c : cases)
    EXPECT_EQ(targets(c.host, c.port, c.url, c.metadata), c.expected) << c.url << ' ' << c.metadata;
}

TEST(ProbeTargets, Of_BracketedIpv6Host_KeepsOnePairOfBrackets) {
  const std::string text = targets("[::1]", 8000, "http://[::1]:8000", R"({"type":"openai-api"})");
  EXPECT_EQ(text.substr(0, text.find(' ')), "http://[::1]:8001/health?refused");
}

}  // namespace
}  // namespace svc::registry
