// What routing needs out of a JSON request body, without building a document (simdjson On Demand).
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "router/core/prefix/prompt_parts.hpp"

namespace svc::router {

struct RequestFacts {
  bool is_object = false;  ///< the body is a JSON object, as far as it was read
  /// The whole object was read, nothing follows it, and no name or value that matters was unreadable. Only then is it
  /// certain that an engine which accepts the body finds the same `model`: ask for it before a key's allowed models are
  /// held against `model` (else a body that is read differently elsewhere, say as UTF-16, would name another one).
  bool complete = false;
  std::string model;                   ///< top-level "model" when it is a string; the last one if it comes twice
  bool stream = false;                 ///< top-level "stream": true
  std::string prompt_cache_key, user;  ///< strings only
  std::uint64_t text_bytes = 0;  ///< of the text of messages, else of `input`, else of the prompt's strings; and of
                                 ///< `system` and `instructions`; as UTF-8, escapes resolved

  void clear();
};

/// How far to look.
struct FactsWanted {
  bool text_bytes = false;  ///< else it stays 0
  bool prompt = false;      ///< for FactsReader::Reading
};

/// One per thread; keeps its parser's memory from call to call.
class FactsReader {
 public:
  FactsReader();
  ~FactsReader();
  FactsReader(const FactsReader&) = delete;
  FactsReader& operator=(const FactsReader&) = delete;

  /// The prompt of a body that was read, which must still be there, and no other may have been read since. One that was
  /// made of nothing has an empty prompt. With it go the views of the body, and memory for an unusually large one.
  class Reading {
   public:
    Reading() = default;
    /// `seed`: the model.
    void shape_prompt(std::string_view seed, std::uint32_t block_bytes, PromptShape& shape) const;

   private:
    friend FactsReader;
    explicit Reading(FactsReader& reader) : reader_(&reader) {}
    struct Release {
      void operator()(FactsReader* reader) const { reader->release(); }
    };
    std::unique_ptr<FactsReader, Release> reader_;
  };

  /// `body` must be followed by kPadding readable bytes. Never throws, never recurses: whatever the shape of the rest
  /// of the body, what could be read is in `facts` (an engine judges the body, not the router). Duplicate keys: the
  /// last counts, as in the engines' own parsers; escaped key names count as what they spell. Returns what has the prompt
  /// if that was wanted.
  Reading read(std::string_view body, const FactsWanted& wanted, RequestFacts& facts);

  static constexpr std::size_t kPadding = 64;

 private:
  void release();

  struct Parser;
  std::unique_ptr<Parser> parser_;
  PromptParts parts_;  // views of the body, and of the parser's memory
};

}  // namespace svc::router
