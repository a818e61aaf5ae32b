// What is made to go wrong, and to whom. Set by --fault and by POST /sim/fault.
#pragma once

#include <cstdint>
#include <list>
#include <optional>
#include <string>
#include <string_view>

#include "common/core/clock.hpp"
#include "common/core/result.hpp"

namespace svc::sim {

enum class FaultKind {
  refuse,            ///< the listener is closed
  reset_on_accept,   ///< RST at once
  reset_on_head,     ///< RST when the request's head is there
  reset,             ///< RST when the whole request is there
  reset_after_head,  ///< RST after the answer's head
  hang,              ///< never an answer
  hang_health,       ///< likewise, to /health alone
  slow,              ///< `ms` before the first byte
  die_mid_stream,    ///< the answer ends in the middle: after `after` events, or half of a plain body
  step_failure,      ///< /health 503; nothing is generated and nothing ends
  framing,           ///< a broken answer, `name` says which (bad_framing.hpp)
  status,            ///< `status`, with Retry-After when `retry_after` is not negative
};
std::string_view to_string(FaultKind kind);

/// Which requests a fault is for.
enum class FaultTarget { generate, health, models, all };
std::string_view to_string(FaultTarget target);

struct Fault {
  std::uint64_t id = 0;
  FaultKind kind = FaultKind::hang;
  FaultTarget on = FaultTarget::generate;
  double share = 1;         ///< of those that it is for
  std::int64_t count = -1;  ///< how often still; -1 = without end
  Duration length{};        ///< it ends by itself; 0 = it does not
  std::uint64_t done = 0;   ///< how often it struck

  std::uint32_t ms = 100;   ///< slow
  std::uint32_t after = 1;  ///< die_mid_stream
  bool rst = false;         ///< die_mid_stream: RST instead of a plain close; refuse: open connections get an RST too
  int status = 503;
  int retry_after = -1;
  std::string name;
};

/// One fault from a JSON object, or from the short form "name" or "name:key=value,key=value".
Result<Fault> parse_fault(std::string_view text);

class Faults {
 public:
  explicit Faults(std::uint64_t seed) : dice_(seed | 1U) {}

  /// Its id.
  std::uint64_t add(Fault fault);
  bool remove(std::uint64_t id);
  /// All of a kind, by its name.
  bool remove(std::string_view kind);
  void clear() { faults_.clear(); }
  [[nodiscard]] bool empty() const { return faults_.empty(); }
  [[nodiscard]] bool has(FaultKind kind) const;

  /// The first fault that strikes now at such a request, counted; nullopt: none. `kinds` says which are asked for.
  template <class Wanted>
  std::optional<Fault> strike(FaultTarget what, Wanted&& wanted) {
    for (auto at = faults_.begin(); at != faults_.end(); ++at) {
      if (!wanted(*at) || (at->on != FaultTarget::all && at->on != what) || !dice_fall_for(at->share)) continue;
      ++at->done;
      Fault struck = *at;
      if (at->count > 0 && --at->count == 0) faults_.erase(at);
      return struck;
    }
    return std::nullopt;
  }

  /// {"faults":[...]}
  [[nodiscard]] std::string to_json() const;

 private:
  bool dice_fall_for(double share);
  std::list<Fault> faults_;
  std::uint64_t next_id_ = 1;
  std::uint64_t dice_;
};

}  // namespace svc::sim
