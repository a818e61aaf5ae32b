#include "agent/core/connection_facts.hpp"

#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/sock_diag.h>
#include <linux/tcp.h>

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstring>

namespace svc::agent {
namespace {

// Numbers of the kernel whose headers belong to the world of sockets.
constexpr unsigned kEstablished = 1;  // TCP_ESTABLISHED
constexpr std::uint8_t kInet = 2;     // AF_INET
constexpr std::uint8_t kInet6 = 10;   // AF_INET6
constexpr std::uint8_t kTcp = 6;      // IPPROTO_TCP

std::uint16_t from_network_order(std::uint16_t number) {
  std::array<std::uint8_t, 2> bytes{};
  std::memcpy(bytes.data(), &number, bytes.size());
  return static_cast<std::uint16_t>(bytes[0] << 8U | bytes[1]);
}

template <class Struct>
void append(std::string& message, const Struct& value) {
  message.append(reinterpret_cast<const char*>(&value), sizeof value);
}

/// What is there of it: kernels of other versions know fewer or more fields.
template <class Struct>
Struct read(std::string_view bytes) {
  Struct value{};
  std::memcpy(&value, bytes.data(), std::min(bytes.size(), sizeof value));
  return value;
}

/// A program for the kernel's filter: each condition is two steps, of which the second holds the port; when it is not
/// met the jump goes beyond the end, which refuses the connection.
struct PortCondition {
  inet_diag_bc_op compare{};
  inet_diag_bc_op port{};
};
using PortFilter = std::array<PortCondition, 2>;

PortFilter ports_between(std::uint16_t lowest, std::uint16_t highest) {
  constexpr auto kStep = static_cast<std::uint8_t>(sizeof(PortCondition));
  constexpr auto kRefuse = static_cast<std::uint16_t>(sizeof(inet_diag_bc_op));
  PortFilter filter;
  filter[0] = {{INET_DIAG_BC_S_GE, kStep, static_cast<std::uint16_t>(2 * kStep + kRefuse)}, {0, 0, lowest}};
  filter[1] = {{INET_DIAG_BC_S_LE, kStep, static_cast<std::uint16_t>(kStep + kRefuse)}, {0, 0, highest}};
  return filter;
}

ConnectionFacts::History history_of(std::string_view info) {
  const auto facts = read<tcp_info>(info);
  return {facts.tcpi_bytes_received, facts.tcpi_bytes_acked, std::chrono::milliseconds(facts.tcpi_last_data_recv),
          std::chrono::milliseconds(facts.tcpi_last_data_sent)};
}

ConnectionFacts connection_of(std::string_view payload) {
  const auto facts = read<inet_diag_msg>(payload);
  ConnectionFacts connection;
  connection.port = from_network_order(facts.id.idiag_sport);
  connection.unread = facts.idiag_rqueue;
  connection.unacknowledged = facts.idiag_wqueue;
  payload.remove_prefix(sizeof facts);
  constexpr std::size_t kNeeded = offsetof(tcp_info, tcpi_bytes_received) + sizeof(tcp_info::tcpi_bytes_received);
  while (payload.size() >= sizeof(nlattr)) {
    const auto attribute = read<nlattr>(payload);
    if (attribute.nla_len < sizeof attribute || attribute.nla_len > payload.size()) break;
    const auto value = payload.substr(sizeof attribute, attribute.nla_len - sizeof attribute);
    if (attribute.nla_type == INET_DIAG_INFO && value.size() >= kNeeded) connection.history = history_of(value);
    payload.remove_prefix(std::min<std::size_t>(NLA_ALIGN(attribute.nla_len), payload.size()));
  }
  return connection;
}

}  // namespace

bool has_open_request(const ConnectionFacts& connection, Duration answered) {
  if (connection.unread > 0 || connection.unacknowledged > 0 || !connection.history) return true;
  const ConnectionFacts::History& history = *connection.history;
  if (history.received == 0 && history.acknowledged == 0) return false;
  if (history.acknowledged == 0 || history.since_received < history.since_sent) return true;
  return history.since_sent < answered;
}

std::string connections_request(IpFamily family, std::uint16_t lowest, std::uint16_t highest) {
  const PortFilter filter = ports_between(lowest, highest);
  nlattr attribute{};
  attribute.nla_type = INET_DIAG_REQ_BYTECODE;
  attribute.nla_len = static_cast<std::uint16_t>(sizeof attribute + sizeof filter);
  inet_diag_req_v2 request{};
  request.sdiag_family = family == IpFamily::v4 ? kInet : kInet6;
  request.sdiag_protocol = kTcp;
  request.idiag_ext = 1U << (INET_DIAG_INFO - 1U);
  request.idiag_states = 1U << kEstablished;
  nlmsghdr head{};
  head.nlmsg_len = static_cast<std::uint32_t>(sizeof head + sizeof request + attribute.nla_len);
  head.nlmsg_type = SOCK_DIAG_BY_FAMILY;
  head.nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP;
  std::string message;
  append(message, head);
  append(message, request);
  append(message, attribute);
  append(message, filter);
  return message;
}

DiagAnswer read_connections(std::string_view message, std::vector<ConnectionFacts>& connections) {
  while (message.size() >= sizeof(nlmsghdr)) {
    const auto head = read<nlmsghdr>(message);
    if (head.nlmsg_len < sizeof head || head.nlmsg_len > message.size()) return DiagAnswer::failed;
    const auto payload = message.substr(sizeof head, head.nlmsg_len - sizeof head);
    if (head.nlmsg_type == NLMSG_DONE) return read<int>(payload) < 0 ? DiagAnswer::failed : DiagAnswer::done;
    if (head.nlmsg_type != SOCK_DIAG_BY_FAMILY) return DiagAnswer::failed;
    if (payload.size() < sizeof(inet_diag_msg)) return DiagAnswer::failed;
    connections.push_back(connection_of(payload));
    message.remove_prefix(std::min<std::size_t>(NLMSG_ALIGN(head.nlmsg_len), message.size()));
  }
  return message.empty() ? DiagAnswer::more : DiagAnswer::failed;
}

}  // namespace svc::agent
