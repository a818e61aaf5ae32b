#include "router/core/http1/field_kind.hpp"

#include <array>
#include <cstddef>
#include <cstring>

namespace svc::router {
namespace {

struct Known {
  std::string_view name;  ///< in lower case
  FieldKind kind = FieldKind::other;
};

constexpr Known kKnown[] = {
    {"authorization", FieldKind::authorization},
    {"connection", FieldKind::connection},
    {"content-encoding", FieldKind::content_encoding},
    {"content-length", FieldKind::content_length},
    {"content-type", FieldKind::content_type},
    {"expect", FieldKind::expect},
    {"forwarded", FieldKind::forwarded},
    {"host", FieldKind::host},
    {"http2-settings", FieldKind::hop_by_hop},
    {"keep-alive", FieldKind::hop_by_hop},
    {"proxy", FieldKind::hop_by_hop},  // CGI reads it as HTTP_PROXY
    {"proxy-authenticate", FieldKind::hop_by_hop},
    {"proxy-authentication-info", FieldKind::hop_by_hop},
    {"proxy-authorization", FieldKind::hop_by_hop},
    {"proxy-connection", FieldKind::hop_by_hop},
    {"retry-after", FieldKind::retry_after},
    {"te", FieldKind::hop_by_hop},
    {"traceparent", FieldKind::traceparent},
    {"tracestate", FieldKind::tracestate},
    {"trailer", FieldKind::hop_by_hop},
    {"trailers", FieldKind::hop_by_hop},
    {"transfer-encoding", FieldKind::transfer_encoding},
    {"upgrade", FieldKind::upgrade},
    {"user-agent", FieldKind::user_agent},
    {"via", FieldKind::via},
    {"x-forwarded-for", FieldKind::forwarded_for},
    {"x-forwarded-host", FieldKind::forwarded_host},
    {"x-forwarded-proto", FieldKind::forwarded_proto},
    {"x-real-ip", FieldKind::forwarded},
    {"x-request-id", FieldKind::request_id},
    {"x-router-attempts", FieldKind::route},
    {"x-router-upstream", FieldKind::route},
};

/// Among token characters setting bit 5 maps only letters onto lower-case letters, '^' onto '~' and '_' onto DEL, and
/// no known name has those.
constexpr unsigned lower(char c) { return static_cast<unsigned char>(c) | 0x20U; }

constexpr std::size_t kSlots = 64;

/// Found by trial: no two known names share a slot. `name` is not empty.
constexpr std::size_t slot_of(std::string_view name) {
  return (name.size() * 15 + lower(name.front()) * 37 + lower(name.back())) % kSlots;
}

constexpr auto kSlotted = [] {
  std::array<Known, kSlots> slots{};
  for (const Known& known : kKnown) {
    Known& slot = slots[slot_of(known.name)];
    if (!slot.name.empty()) throw "two names share a slot: change slot_of";
    slot = known;
  }
  return slots;
}();

/// Both have `known.size()` bytes.
bool same(const char* name, std::string_view known) {
  constexpr std::uint64_t kBit5 = 0x2020202020202020ULL;
  std::size_t at = 0;
  const auto differ = [&] {
    std::uint64_t a = 0;
    std::uint64_t b = 0;
    std::memcpy(&a, name + at, sizeof a);
    std::memcpy(&b, known.data() + at, sizeof b);
    return (a | kBit5) != b;
  };
  for (; at + 8 <= known.size(); at += 8) {
    if (differ()) return false;
  }
  if (at == known.size()) return true;
  if (known.size() >= 8) {
    at = known.size() - 8;
    return !differ();
  }
  for (; at < known.size(); ++at) {
    if (lower(name[at]) != static_cast<unsigned char>(known[at])) return false;
  }
  return true;
}

}  // namespace

FieldKind field_kind(std::string_view name) {
  const Known& candidate = kSlotted[slot_of(name)];
  if (candidate.name.size() == name.size() && same(name.data(), candidate.name)) return candidate.kind;
  for (const char c : name) {
    if (c == '_') return FieldKind::underscored;
  }
  constexpr std::string_view kForwarded = "x-forwarded-";
  if (name.size() >= kForwarded.size() && same(name.data(), kForwarded)) return FieldKind::forwarded;
  return FieldKind::other;
}

}  // namespace svc::router
