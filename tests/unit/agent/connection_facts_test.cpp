#include "agent/core/connection_facts.hpp"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>

#include <cstring>

namespace svc::agent {
namespace {

using namespace std::chrono_literals;

TEST(OpenRequest, TableOfConnections) {
  using History = ConnectionFacts::History;
  struct Row {
    const char* what;
    ConnectionFacts connection;
    bool open;
  };
  const Row rows[] = {
      {"never used", {1, 0, 0, History{0, 0, 1h, 1h}}, false},
      {"just accepted", {1, 0, 0, History{0, 0, 0ms, 0ms}}, false},
      {"the request is not read yet", {1, 9, 0, History{9, 0, 0ms, 0ms}}, true},
      {"a client that reads slowly", {1, 0, 9, History{9, 9, 1h, 1h}}, true},
      {"the first answer is waited for", {1, 0, 0, History{9, 0, 25s, 26s}}, true},
      {"the same, asked within the step of the connect", {1, 0, 0, History{9, 0, 25s, 25s}}, true},
      {"a later answer is waited for, in a long prefill", {1, 0, 0, History{9, 9, 10min, 11min}}, true},
      {"a stream", {1, 0, 0, History{9, 9, 10min, 20ms}}, true},
      {"a stream that pauses", {1, 0, 0, History{9, 9, 10min, kAnswered - 1ms}}, true},
      {"answered, kept for the next request", {1, 0, 0, History{9, 9, 10min, kAnswered}}, false},
      {"answered within the step of the request", {1, 0, 0, History{9, 9, 1h, 1h}}, false},
      {"an engine that speaks first", {1, 0, 0, History{0, 9, 1h, 1h}}, false},
      {"an old kernel tells no times", {1, 0, 0, std::nullopt}, true},
  };
  for (const auto& row : rows) {
    EXPECT_EQ(has_open_request(row.connection), row.open) << row.what;
  }
}

TEST(OpenRequest, ForTheLoad_AnAnswerIsOverSooner) {
  const ConnectionFacts answered{1, 0, 0, ConnectionFacts::History{9, 9, 10min, kAnsweredForLoad}};
  const ConnectionFacts streaming{1, 0, 0, ConnectionFacts::History{9, 9, 10min, kAnsweredForLoad - 1ms}};
  const ConnectionFacts waiting{1, 0, 0, ConnectionFacts::History{9, 9, 10min, 11min}};
  EXPECT_FALSE(has_open_request(answered, kAnsweredForLoad));
  EXPECT_TRUE(has_open_request(answered));
  EXPECT_TRUE(has_open_request(streaming, kAnsweredForLoad));
  EXPECT_TRUE(has_open_request(waiting, kAnsweredForLoad));
}

TEST(ConnectionsRequest, AsTheKernelExpectsIt) {
  const std::string message = connections_request(IpFamily::v6, 5001, 5003);
  nlmsghdr head{};
  inet_diag_req_v2 request{};
  ASSERT_EQ(message.size(), sizeof head + sizeof request + sizeof(nlattr) + 16);
  std::memcpy(&head, message.data(), sizeof head);
  std::memcpy(&request, message.data() + sizeof head, sizeof request);
  EXPECT_EQ(head.nlmsg_len, message.size());
  EXPECT_EQ(head.nlmsg_type, SOCK_DIAG_BY_FAMILY);
  EXPECT_EQ(head.nlmsg_flags, NLM_F_REQUEST | NLM_F_DUMP);
  EXPECT_EQ(request.sdiag_family, AF_INET6);
  EXPECT_EQ(request.sdiag_protocol, IPPROTO_TCP);
  EXPECT_EQ(request.idiag_states, 2U) << "established";
  EXPECT_EQ(request.idiag_ext, 2U) << "with tcp_info";
}

template <class Struct>
void append(std::string& text, const Struct& value) {
  text.append(reinterpret_cast<const char*>(&value), sizeof value);
}

std::string netlink_message(std::uint16_t type, const std::string& payload) {
  nlmsghdr head{};
  head.nlmsg_len = static_cast<std::uint32_t>(sizeof head + payload.size());
  head.nlmsg_type = type;
  std::string message;
  append(message, head);
  return message + payload + std::string((4 - payload.size() % 4) % 4, '\0');
}

std::string attribute(std::uint16_t type, const std::string& value) {
  nlattr head{};
  head.nla_len = static_cast<std::uint16_t>(sizeof head + value.size());
  head.nla_type = type;
  std::string text;
  append(text, head);
  return text + value + std::string((4 - value.size() % 4) % 4, '\0');
}

std::string connection_payload(std::uint16_t port) {
  inet_diag_msg facts{};
  facts.id.idiag_sport = htons(port);
  facts.idiag_rqueue = 3;
  facts.idiag_wqueue = 4;
  std::string payload;
  append(payload, facts);
  return payload;
}

std::string info_of(std::size_t size) {
  tcp_info info{};
  info.tcpi_bytes_received = 1'000'000'000'000;
  info.tcpi_bytes_acked = 7;
  info.tcpi_last_data_recv = 1500;
  info.tcpi_last_data_sent = 20;
  std::string text;
  append(text, info);
  text.resize(size, '\1');
  return text;
}

TEST(ReadConnections, SeveralInAMessage_WithWhatTheKernelKnows) {
  constexpr auto kOtherAttribute = INET_DIAG_SHUTDOWN;
  const std::string message =
      netlink_message(SOCK_DIAG_BY_FAMILY, connection_payload(5001) + attribute(kOtherAttribute, "x") +
                                               attribute(INET_DIAG_INFO, info_of(sizeof(tcp_info) + 40))) +
      netlink_message(SOCK_DIAG_BY_FAMILY, connection_payload(65535) + attribute(INET_DIAG_INFO, info_of(100)));
  std::vector<ConnectionFacts> found;
  EXPECT_EQ(read_connections(message, found), DiagAnswer::more);
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].port, 5001);
  EXPECT_EQ(found[0].unread, 3U);
  EXPECT_EQ(found[0].unacknowledged, 4U);
  ASSERT_TRUE(found[0].history) << "newer kernels tell more";
  EXPECT_EQ(found[0].history->received, 1'000'000'000'000U);
  EXPECT_EQ(found[0].history->acknowledged, 7U);
  EXPECT_EQ(found[0].history->since_received, 1500ms);
  EXPECT_EQ(found[0].history->since_sent, 20ms);
  EXPECT_EQ(found[1].port, 65535);
  EXPECT_FALSE(found[1].history) << "older ones less";
}

TEST(ReadConnections, EndOfTheAnswer) {
  std::vector<ConnectionFacts> found;
  const std::string one = netlink_message(SOCK_DIAG_BY_FAMILY, connection_payload(1));
  EXPECT_EQ(read_connections(one + netlink_message(NLMSG_DONE, std::string(4, '\0')), found), DiagAnswer::done);
  EXPECT_EQ(found.size(), 1U);
  EXPECT_EQ(read_connections(netlink_message(NLMSG_DONE, ""), found), DiagAnswer::done);
  EXPECT_EQ(read_connections(netlink_message(NLMSG_DONE, std::string(4, '\xff')), found), DiagAnswer::failed);
  EXPECT_EQ(read_connections(netlink_message(NLMSG_ERROR, std::string(20, '\xff')), found), DiagAnswer::failed);
}

TEST(ReadConnections, CutAnywhere_IsNoHarm) {
  const std::string whole =
      netlink_message(SOCK_DIAG_BY_FAMILY, connection_payload(1) + attribute(INET_DIAG_INFO, info_of(232)));
  for (std::size_t size = 1; size < whole.size(); ++size) {
    std::vector<ConnectionFacts> found;
    EXPECT_EQ(read_connections(std::string(whole.data(), size), found), DiagAnswer::failed) << size;
    EXPECT_TRUE(found.empty());
  }
  for (const char byte : {'\0', '\1', '\3', '\xff'}) {
    for (std::size_t at = 0; at < whole.size(); ++at) {
      std::string torn = whole;
      torn[at] = byte;
      std::vector<ConnectionFacts> found;
      static_cast<void>(read_connections(torn, found));
      EXPECT_LE(found.size(), 1U);
    }
  }
}

}  // namespace
}  // namespace svc::agent
