#include "agent/core/shim_protocol.hpp"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace svc::agent {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

LaunchOrder some_order() {
  LaunchOrder order;
  order.name = "infinilm/\xe4\xbd\xa0 1";
  RankCommand rank;
  // Whatever the kernel takes as an argument must arrive: blanks, quotes, line ends, bytes that are no UTF-8.
  rank.argv = {"/opt/my engine/run", "--text=a b \"c\" 'd' $HOME \\", "", "line\nend\ttab", "\xff\xfe", "${PORT}%20"};
  rank.env = {{"EMPTY", ""}, {"PATH", "/usr/bin:/bin"}, {"LATIN", "gr\xfc\xdf"}};
  rank.work_dir = "/tmp/a dir";
  order.ranks = {rank, RankCommand{{"worker"}, {}, ""}};
  order.outlive_agent = true;
  order.grace = std::chrono::milliseconds(1500);
  order.socket_path = "data/agent/x.sock";
  order.log_file = "logs/x.log";
  order.log_max_bytes = 1;
  order.log_max_files = 2;
  order.log_max_age = std::chrono::hours(24);
  order.cgroup_parent = "/sys/fs/cgroup/x";
  order.fingerprint = "abc";
  return order;
}

template <class Kind, class Message>
Kind again(const Message& message) {
  if constexpr (std::is_constructible_v<ShimOrder, Kind>) {
    return std::get<Kind>(decode_order(encode(ShimOrder(message))).value());
  } else {
    return std::get<Kind>(decode_report(encode(ShimReport(message))).value());
  }
}

TEST(ShimProtocol, LaunchOrder_ArrivesByteForByte) {
  const LaunchOrder sent = some_order();
  const LaunchOrder got = again<LaunchOrder>(sent);
  EXPECT_EQ(got.name, sent.name);
  EXPECT_EQ(got.ranks, sent.ranks);
  EXPECT_EQ(got.outlive_agent, sent.outlive_agent);
  EXPECT_EQ(got.grace, sent.grace);
  EXPECT_EQ(got.socket_path, sent.socket_path);
  EXPECT_EQ(got.log_file, sent.log_file);
  EXPECT_EQ(got.log_max_bytes, sent.log_max_bytes);
  EXPECT_EQ(got.log_max_files, sent.log_max_files);
  EXPECT_EQ(got.log_max_age, sent.log_max_age);
  EXPECT_EQ(got.cgroup_parent, sent.cgroup_parent);
  EXPECT_EQ(got.fingerprint, sent.fingerprint);
}

TEST(ShimProtocol, OtherOrders_Arrive) {
  EXPECT_EQ(again<StopOrder>(StopOrder{std::chrono::seconds(30)}).grace, std::chrono::seconds(30));
  EXPECT_TRUE(std::holds_alternative<ReopenLogOrder>(decode_order(encode(ShimOrder(ReopenLogOrder{}))).value()));
  EXPECT_EQ(again<SettlePortOrder>(SettlePortOrder{5001}).port, 5001);
  EXPECT_TRUE(std::holds_alternative<EndWithAgentOrder>(decode_order(encode(ShimOrder(EndWithAgentOrder{}))).value()));
}

TEST(ShimProtocol, RunReport_Arrives) {
  const RunReport got = again<RunReport>(RunReport{12, {13, 0, 4194304}, "print", 1'795'435'200'123'456, 5001, "/c g"});
  EXPECT_EQ(got.shim, 12);
  EXPECT_THAT(got.ranks, ElementsAre(13, 0, 4194304));
  EXPECT_EQ(got.fingerprint, "print");
  EXPECT_EQ(got.started_at_us, 1'795'435'200'123'456);
  EXPECT_EQ(got.port, 5001);
  EXPECT_EQ(got.cgroup, "/c g");
  EXPECT_EQ(again<RunReport>(RunReport{}).port, std::nullopt);
}

TEST(ShimProtocol, LineReport_Arrives) {
  const LineReport got = again<LineReport>(LineReport{8000, "a\tb \"c\" \xe4\xbd\xa0", 1'000'000'000'000, true, true});
  EXPECT_EQ(got.port, 8000);
  EXPECT_EQ(got.last_line, "a\tb \"c\" \xe4\xbd\xa0");
  EXPECT_EQ(got.lines_lost, 1'000'000'000'000U);
  EXPECT_TRUE(got.log_failing);
  EXPECT_TRUE(got.log_stuck);
  EXPECT_EQ(again<LineReport>(LineReport{}).port, std::nullopt);
  EXPECT_FALSE(again<LineReport>(LineReport{}).log_failing);
  EXPECT_FALSE(again<LineReport>(LineReport{}).log_stuck);
}

TEST(ShimProtocol, ExitReport_EveryKindArrives) {
  for (const ExitKind kind : {ExitKind::exited, ExitKind::signalled, ExitKind::out_of_memory, ExitKind::start_failed,
                              ExitKind::start_timeout, ExitKind::hung, ExitKind::stopped, ExitKind::lost}) {
    const ExitOutcome sent{kind, 9, true, 3, {"one", "", "tab\there"}};
    const ExitOutcome got = again<ExitReport>(ExitReport{sent}).outcome;
    EXPECT_EQ(got.kind, kind);
    EXPECT_EQ(got.value, 9);
    EXPECT_TRUE(got.core_dumped);
    EXPECT_EQ(got.rank, 3);
    EXPECT_EQ(got.last_lines, sent.last_lines);
  }
}

TEST(ShimProtocol, LongestExitReport_FitsAMessage) {
  // Quotes are the worst that a line of an engine may still hold: each takes two bytes.
  const ExitOutcome outcome{ExitKind::exited, 1, false, 0, std::vector<std::string>(20, std::string(512, '"'))};
  EXPECT_LT(encode(ShimReport(ExitReport{outcome})).size(), kMaxShimMessage);
}

TEST(ShimProtocol, GoneReport_Arrives) {
  const GoneReport got = again<GoneReport>(GoneReport{7, 1'000'000'000'000});
  EXPECT_EQ(got.killed, 7U);
  EXPECT_EQ(got.lines_lost, 1'000'000'000'000U);
}

TEST(ShimProtocol, BadOrders_AreRefused) {
  const std::vector<std::pair<std::string, std::string>> cases{
      {"", "not a message of an agent"},
      {"{", "not a message of an agent"},
      {"[]", "must be an object"},
      {"{}", "'order'"},
      {R"({"order":"dance"})", "'order'"},
      {R"({"order":"launch"})", "'ranks'"},
      {R"({"order":"launch","ranks":[]})", "'ranks'"},
      {R"({"order":"launch","ranks":[{"argv":[]}]})", "argv"},
      {R"({"order":"launch","ranks":[7]})", "ranks[0]"},
      {R"({"order":"launch","ranks":[{"argv":["%zz"]}]})", "percent"},
      {R"({"order":"launch","ranks":[{"argv":["a%00b"]}]})", "percent"},
      {R"({"order":"launch","ranks":[{"argv":["a"],"env":{"%":"b"}}]})", "percent"},
      {R"({"order":"stop","grace_ns":-1})", "grace_ns"},
      {R"({"order":"settle_port"})", "port"},
      {R"({"order":"settle_port","port":0})", "port"},
      {R"({"order":"stop","grace_ns":"soon"})", "grace_ns"},
  };
  for (const auto& [text, words] : cases) {
    const auto order = decode_order(text);
    ASSERT_TRUE(order.has_error()) << text;
    EXPECT_THAT(order.error().to_string(), HasSubstr(words)) << text;
  }
}

TEST(ShimProtocol, BadReports_AreRefused) {
  for (const char* text : {"", "null", "{}", R"({"report":"dance"})", R"({"report":"exit","kind":"bored"})",
                           R"({"report":"run","ranks":["x"]})", R"({"report":"run","ranks":[-1]})",
                           R"({"report":"line","port":70000})", R"({"report":"gone","killed":-1})"}) {
    EXPECT_TRUE(decode_report(text).has_error()) << text;
  }
}

TEST(ShimProtocol, FieldsOfAnotherVersion_DoNotDisturb) {
  EXPECT_TRUE(decode_order(R"({"order":"stop","grace_ns":5,"new":{"deep":[1]}})").has_value());
  EXPECT_TRUE(decode_report(R"({"report":"gone","new":1})").has_value());
}

}  // namespace
}  // namespace svc::agent
