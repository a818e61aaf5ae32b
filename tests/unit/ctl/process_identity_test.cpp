#include "ctl/core/process_identity.hpp"

#include <gtest/gtest.h>

namespace svc::ctl {
namespace {

using namespace std::string_literals;

ProcessTexts agent() {
  return {"/opt/in fini/bin/infinilm-agent", "/opt/in fini/bin/infinilm-agent\0--services\0x\0"s,
          "HOME=/root\0INFINILM_PART=/run dir/logs/gpu1\0PATH=/bin\0"s};
}

TEST(IsPart, OnlyTheProcessThatWasStartedAsThisPart_Is) {
  const auto is = [](const ProcessTexts& texts) { return is_part(texts, "infinilm-agent", "/run dir/logs/gpu1"); };
  EXPECT_TRUE(is(agent()));
  ProcessTexts replaced = agent();
  replaced.exe += " (deleted)";
  EXPECT_TRUE(is(replaced));
  ProcessTexts relative = agent();
  relative.cmdline = "infinilm-agent\0"s;
  EXPECT_TRUE(is(relative));

  ProcessTexts other = agent();
  other.exe = "/usr/bin/python3";
  EXPECT_FALSE(is(other)) << "an engine, which has the variable too";
  other = agent();
  other.cmdline = "infinilm-agent: gpu1\0shim\0"s;
  EXPECT_FALSE(is(other)) << "a child of the same binary in another role";
  other = agent();
  other.environ = "HOME=/root\0"s;
  EXPECT_FALSE(is(other)) << "somebody else's agent";
  other.environ = "INFINILM_PART=/run dir/logs/gpu10\0"s;
  EXPECT_FALSE(is(other)) << "another part";
  other.environ = "XINFINILM_PART=/run dir/logs/gpu1\0"s;
  EXPECT_FALSE(is(other));
  EXPECT_FALSE(is({}));
}

TEST(PartMarker, PidFile_LosesItsEnding) {
  EXPECT_EQ(part_marker("/x/logs/registry.pid"), "/x/logs/registry");
  EXPECT_EQ(part_marker("/x/odd"), "/x/odd");
}

TEST(ParsePid, OnlyANumber_Counts) {
  EXPECT_EQ(parse_pid("123\n"), 123);
  EXPECT_EQ(parse_pid("123"), 123);
  EXPECT_EQ(parse_pid("123 \r\n"), 123);
  for (const char* text : {"", "\n", "0", "-5", "12 34", "abc", "123x", "99999999999999"})
    EXPECT_EQ(parse_pid(text), 0) << text;
}

}  // namespace
}  // namespace svc::ctl
