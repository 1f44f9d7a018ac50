#include "platform/symbolizer.h"

#include <cxxabi.h>
#include <dlfcn.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <memory>
#include <utility>

namespace runnel::platform {
namespace {

std::string demangle(const char* name) {
  int status = 0;
  std::unique_ptr<char, decltype(&std::free)> text(
      abi::__cxa_demangle(name, nullptr, nullptr, &status), &std::free);
  return status == 0 && text != nullptr ? text.get() : name;
}

// Of the DWARF standard.
constexpr int tag_subprogram = 0x2e;
constexpr int tag_inlined_subroutine = 0x1d;
constexpr int tag_class = 0x02;
constexpr int tag_structure = 0x13;
constexpr int tag_union = 0x17;
constexpr int tag_namespace = 0x39;
constexpr unsigned attribute_abstract_origin = 0x31;
constexpr unsigned attribute_specification = 0x47;
constexpr unsigned attribute_call_file = 0x58;
constexpr unsigned attribute_call_line = 0x59;
constexpr unsigned attribute_linkage_name = 0x6e;

bool names_something(int tag) noexcept {
  return tag == tag_subprogram || tag == tag_namespace || tag == tag_class ||
         tag == tag_structure || tag == tag_union;
}

// As libdw's.
struct dwarf_die {
  void* address;
  void* unit;
  void* abbreviation;
  long padding;
};
struct dwarf_attribute {
  unsigned code;
  unsigned form;
  unsigned char* value;
  void* unit;
};

}  // namespace

// What we use of <elfutils/libdwfl.h> and <elfutils/libdw.h>.
struct symbolizer::library {
  struct callbacks {
    void* find_elf;
    void* find_debuginfo;
    void* section_address;
    char** debuginfo_path;
  };

  void* handle = nullptr;
  callbacks how{};
  void* (*begin)(const callbacks*) = nullptr;
  void (*end)(void*) = nullptr;
  int (*report)(void*, pid_t) = nullptr;
  int (*report_end)(void*, void*, void*) = nullptr;
  void* (*module_at)(void*, std::uint64_t) = nullptr;
  const char* (*name_at)(void*, std::uint64_t) = nullptr;
  dwarf_die* (*next_unit)(void*, dwarf_die*, std::uint64_t*) = nullptr;
  int (*covers)(dwarf_die*, std::uint64_t) = nullptr;
  void* (*line_at)(dwarf_die*, std::uint64_t) = nullptr;
  int (*line_number)(void*, int*) = nullptr;
  const char* (*line_file)(void*, std::uint64_t*, std::uint64_t*) = nullptr;
  dwarf_die* (*unit_at)(void*, std::uint64_t, std::uint64_t*) = nullptr;
  int (*scopes_at)(dwarf_die*, std::uint64_t, dwarf_die**) = nullptr;
  int (*scopes_of)(dwarf_die*, dwarf_die**) = nullptr;
  int (*tag)(dwarf_die*) = nullptr;
  const char* (*die_name)(dwarf_die*) = nullptr;
  dwarf_attribute* (*attribute)(dwarf_die*, unsigned, dwarf_attribute*) = nullptr;
  dwarf_die* (*referred)(dwarf_attribute*, dwarf_die*) = nullptr;
  const char* (*text)(dwarf_attribute*) = nullptr;
  int (*number)(dwarf_attribute*, std::uint64_t*) = nullptr;
  int (*source_files)(dwarf_die*, void**, std::size_t*) = nullptr;
  const char* (*file_name)(void*, std::size_t, std::uint64_t*, std::uint64_t*) = nullptr;

  template <class F>
  bool find(F& f, const char* name) {
    f = reinterpret_cast<F>(dlsym(handle, name));
    return f != nullptr;
  }
  bool load() {
    handle = dlopen("libdw.so.1", RTLD_NOW | RTLD_LOCAL);
    return handle != nullptr && find(begin, "dwfl_begin") && find(end, "dwfl_end") &&
           find(report, "dwfl_linux_proc_report") && find(report_end, "dwfl_report_end") &&
           find(module_at, "dwfl_addrmodule") && find(name_at, "dwfl_module_addrname") &&
           find(next_unit, "dwfl_module_nextcu") && find(covers, "dwarf_haspc") &&
           find(line_at, "dwarf_getsrc_die") && find(line_number, "dwarf_lineno") &&
           find(line_file, "dwarf_linesrc") && find(unit_at, "dwfl_module_addrdie") &&
           find(scopes_at, "dwarf_getscopes") && find(scopes_of, "dwarf_getscopes_die") &&
           find(tag, "dwarf_tag") && find(die_name, "dwarf_diename") &&
           find(attribute, "dwarf_attr_integrate") && find(referred, "dwarf_formref_die") &&
           find(text, "dwarf_formstring") && find(number, "dwarf_formudata") &&
           find(source_files, "dwarf_getsrcfiles") && find(file_name, "dwarf_filesrc") &&
           find(how.find_elf, "dwfl_linux_proc_find_elf") &&
           find(how.find_debuginfo, "dwfl_standard_find_debuginfo");
  }

  void name(dwarf_die& die, code_location& to) const {
    dwarf_attribute found;
    if (attribute(&die, attribute_linkage_name, &found) != nullptr) {
      if (const char* mangled = text(&found)) {
        to.symbol = mangled;
        to.function = demangle(mangled);
        return;
      }
    }
    to.function = qualified_name(die);  // what has no symbol, as a lambda
  }
  // By the names of what is around.
  std::string qualified_name(dwarf_die die) const {
    dwarf_attribute found;
    for (unsigned follow : {attribute_abstract_origin, attribute_specification}) {
      dwarf_die next;
      if (attribute(&die, follow, &found) != nullptr && referred(&found, &next) != nullptr) {
        die = next;
      }
    }
    const char* own = die_name(&die);
    std::string name = own != nullptr               ? own
                       : tag(&die) == tag_namespace ? "(anonymous namespace)"
                                                    : "{lambda}";
    dwarf_die* around = nullptr;
    int count = scopes_of(&die, &around);
    std::unique_ptr<dwarf_die, decltype(&std::free)> hold(around, &std::free);
    for (int i = 1; i < count; ++i) {
      if (names_something(tag(&around[i]))) return qualified_name(around[i]) + "::" + name;
    }
    return name;
  }
  std::uint64_t value(dwarf_die& die, unsigned which) const {
    dwarf_attribute found;
    std::uint64_t result = 0;
    if (attribute(&die, which, &found) == nullptr || number(&found, &result) != 0) return 0;
    return result;
  }
  const char* file(dwarf_die& unit, std::uint64_t index) const {
    void* files = nullptr;
    std::size_t count = 0;
    if (source_files(&unit, &files, &count) != 0 || index >= count) return nullptr;
    return file_name(files, index, nullptr, nullptr);
  }

  // The unit of an address. Clang writes no table of them: then each is asked.
  dwarf_die* unit_of(void* module, std::uint64_t call, std::uint64_t& bias) const {
    if (dwarf_die* unit = unit_at(module, call, &bias)) return unit;
    dwarf_die* unit = nullptr;
    while ((unit = next_unit(module, unit, &bias)) != nullptr) {
      if (covers(unit, call - bias) > 0) return unit;
    }
    return nullptr;
  }

  // Replaces the one location known by the chain of inlined calls that ends in it.
  void expand(dwarf_die* unit, std::uint64_t place_in_unit,
              std::vector<code_location>& calls) const {
    dwarf_die* blocks = nullptr;
    int count = scopes_at(unit, place_in_unit, &blocks);
    std::unique_ptr<dwarf_die, decltype(&std::free)> hold_blocks(blocks, &std::free);
    if (count <= 0) return;
    // The innermost block's way up through the code, where the first list follows the source's nesting.
    dwarf_die* scopes = nullptr;
    count = scopes_of(&blocks[0], &scopes);
    std::unique_ptr<dwarf_die, decltype(&std::free)> hold_scopes(scopes, &std::free);
    code_location place = calls.front();
    std::vector<code_location> found;
    for (int i = 0; i < count; ++i) {
      int kind = tag(&scopes[i]);
      if (kind != tag_inlined_subroutine && kind != tag_subprogram) continue;
      code_location one = place;
      one.symbol.clear();
      one.function.clear();
      name(scopes[i], one);
      if (kind == tag_subprogram) {
        if (one.function.empty()) one.function = calls.front().function;
        if (one.symbol.empty()) one.symbol = calls.front().symbol;
        found.push_back(std::move(one));
        calls = std::move(found);
        return;
      }
      const char* called_in = file(*unit, value(scopes[i], attribute_call_file));
      auto line = static_cast<int>(value(scopes[i], attribute_call_line));
      found.push_back(std::move(one));
      if (called_in != nullptr && line > 0) {
        place.file = called_in;
        place.line = line;
      }
    }
  }
};

symbolizer::symbolizer() : dw_(new library) {
  if (!dw_->load()) return;
  session_ = dw_->begin(&dw_->how);
  if (session_ == nullptr) return;
  if (dw_->report(session_, getpid()) != 0 || dw_->report_end(session_, nullptr, nullptr) != 0) {
    dw_->end(session_);
    session_ = nullptr;
  }
}

symbolizer::~symbolizer() {
  if (session_ != nullptr) dw_->end(session_);
  delete dw_;
}

std::vector<code_location> symbolizer::locate(void* return_address) {
  std::vector<code_location> calls(1);
  code_location& where = calls.front();
  auto at = reinterpret_cast<std::uint64_t>(return_address);
  // The call, not what follows it, which may belong to another line, or to another function.
  std::uint64_t call = at - 1;
  where.offset = at;
  Dl_info known{};
  if (dladdr(reinterpret_cast<void*>(call), &known) != 0) {
    if (known.dli_fname != nullptr) where.file = known.dli_fname;
    where.offset = at - reinterpret_cast<std::uint64_t>(known.dli_fbase);
    if (known.dli_sname != nullptr) {
      where.symbol = known.dli_sname;
      where.function = demangle(known.dli_sname);
    }
  }
  void* module = session_ != nullptr ? dw_->module_at(session_, call) : nullptr;
  // Variables that are zero at first lie behind what is mapped from the file, which is all that libdw knows.
  if (module == nullptr && session_ != nullptr && known.dli_fbase != nullptr) {
    module = dw_->module_at(session_, reinterpret_cast<std::uint64_t>(known.dli_fbase));
  }
  if (module == nullptr) return calls;
  if (const char* name = dw_->name_at(module, call)) {
    where.symbol = name;
    where.function = demangle(name);
  }
  std::uint64_t bias = 0;
  dwarf_die* unit = dw_->unit_of(module, call, bias);
  void* line = unit != nullptr ? dw_->line_at(unit, call - bias) : nullptr;
  if (line == nullptr) return calls;
  int number = 0;
  const char* file = dw_->line_file(line, nullptr, nullptr);
  if (file == nullptr || dw_->line_number(line, &number) != 0 || number <= 0) return calls;
  where.file = file;
  where.line = number;
  dw_->expand(unit, call - bias, calls);
  return calls;
}

}  // namespace runnel::platform
