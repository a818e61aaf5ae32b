// The bytes of every answer. Fixed sizes (--answer-bytes, --chunk-bytes) are met exactly by filling up the content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "bench/sim/options.hpp"
#include "common/core/clock.hpp"

namespace svc::sim {

/// How one answer is framed.
struct Framing {
  bool keep_alive = true;
  bool http10 = false;
  bool no_body = false;  ///< HEAD
};

/// One generation, as its answer shows it.
struct Generation {
  std::uint64_t number = 0;
  std::size_t model = 0;  ///< index into Options::models
  std::uint32_t prompt_tokens = 0;
  std::uint32_t generated = 0;
  std::uint32_t cached_tokens = 0;
  bool completions = false;    ///< /v1/completions
  bool include_usage = false;  ///< at the end of a stream
  std::string_view finish_reason = "stop";
  std::string tool;  ///< the function that is to be called, as written in the request; empty: none
  // Made by begin_stream().
  std::string event_head;
  std::string event_middle;
  std::string event_tail;
};

class Answers {
 public:
  /// Throws std::invalid_argument when --answer-bytes or --chunk-bytes is less than an answer needs.
  explicit Answers(const Options& options);

  /// To be called once in a while: the Date field and `created`.
  void set_time(TimePoint now);

  /// A whole answer; `extra` are further field lines, each with its CRLF.
  void plain(std::string& out, int status, std::string_view type, std::string_view body, const Framing& framing,
             std::string_view extra = {}) const;
  void json(std::string& out, int status, std::string_view body, const Framing& framing) const {
    plain(out, status, "application/json", body, framing);
  }
  /// The body of a generation that is not streamed.
  [[nodiscard]] std::string completion(const Generation& generation) const;
  [[nodiscard]] std::string models() const;

  /// The head of a stream: it is sent at once, long before the first token.
  void begin_stream(std::string& out, Generation& generation, const Framing& framing) const;
  /// Comes with the first token: what vllm's chat streams begin with, the role and perhaps a call's name.
  void open_message(std::string& out, const Generation& generation, const Framing& framing) const;
  /// The event of token `n`.
  void event(std::string& out, const Generation& generation, std::uint32_t n, TimePoint now,
             const Framing& framing) const;
  /// The event with the finish reason, the usage if asked for, [DONE] and the last chunk.
  /// `text`: what an error or timeout says instead of a token.
  void end_stream(std::string& out, const Generation& generation, const Framing& framing,
                  std::string_view text = {}) const;

 private:
  void head(std::string& out, int status, std::string_view type, const Framing& framing) const;
  [[nodiscard]] std::string id(const Generation& generation, bool compact) const;
  [[nodiscard]] std::string usage(const Generation& generation) const;
  void frame(std::string& out, std::string_view event, const Framing& framing) const;
  void set_event_parts(Generation& generation, bool compact) const;
  [[nodiscard]] std::string completion_with(const Generation& generation, std::string_view content) const;

  const Options& options_;
  std::vector<std::string> models_json_;  ///< as Options::models, each with its quotes
  std::string fields_;                    ///< date, server and x-sim-name
  std::string created_;                   ///< seconds since 1970
  TimePoint fields_until_{};
  bool compact_ = false;
  bool fixed_ = false;
  std::string filler_;
};

}  // namespace svc::sim
