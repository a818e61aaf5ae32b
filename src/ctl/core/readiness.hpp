// Is a daemon ready for work, and if not, how far is it? Judged by its pages alone.
#pragma once

#include <string>
#include <string_view>

namespace svc::ctl {

enum class DaemonKind { registry, router, service };

struct Readiness {
  enum class Verdict { ready, not_yet, failed };  ///< failed: waiting longer is of no use
  Verdict verdict = Verdict::not_yet;
  std::string text;  ///< what it is doing, for a line of progress: "starting for 12s: Loading weights 3/8"
};

/// The page that tells whether one is ready; it needs no token.
[[nodiscard]] std::string_view readiness_path(DaemonKind kind);
/// The page that says more; it may need one.
[[nodiscard]] std::string_view detail_path(DaemonKind kind);

/// What was answered.
struct ReadinessAnswer {
  int status = 0;           ///< of readiness_path
  std::string_view body;    ///< of it
  std::string_view detail;  ///< of detail_path; "" = not known
  bool registered = false;  ///< a service is ready only when the registry knows it, as far as the detail says so
};

/// A router without instances is ready when it knows that there are none.
[[nodiscard]] Readiness judge_readiness(DaemonKind kind, const ReadinessAnswer& answer);

}  // namespace svc::ctl
