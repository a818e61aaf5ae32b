// The lines of `infinilm-ctl check`, and what they amount to.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace svc::ctl {

struct CheckLine {
  enum class Verdict { good, note, bad };  ///< note: worth knowing, nothing to mend
  Verdict verdict = Verdict::good;
  std::string subject;  ///< "registry_config.json", "port 8081"
  std::string text;
};

/// "✓ SUBJECT: TEXT", "! ...", "✗ ...".
[[nodiscard]] std::string check_text(const CheckLine& line);
/// "12 checks, 1 note, 2 bad".
[[nodiscard]] std::string check_summary(const std::vector<CheckLine>& lines);
[[nodiscard]] bool all_good(const std::vector<CheckLine>& lines);

/// Free space at a folder: below 1 GiB is bad, below 5 GiB a note. Engines' logs alone may take 300 MB a service.
[[nodiscard]] CheckLine judge_space(const std::string& folder, std::uint64_t free_bytes);

}  // namespace svc::ctl
