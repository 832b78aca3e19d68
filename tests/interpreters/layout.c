/* Prints where one interpreter's own headers put everything that crates/cpython/src/version/ has a constant for.
 *
 * One JSON object on stdout, whose keys are those of `cargo run -p heapsight-cpython --example print_offsets`.
 * Compile it against the headers of the interpreter in question, with the include folder and its `internal` folder in
 * the path; it is never run inside an interpreter and links to nothing. A field that moves or goes away breaks the build
 * or changes a number: either way the test that runs this fails.
 */
#define Py_BUILD_CORE 1
#include <Python.h>
#include <frameobject.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#if PY_VERSION_HEX < 0x030C0000
#include "internal/pycore_runtime.h"
#endif
#include "internal/pycore_gc.h"
#include "internal/pycore_object.h"
#if PY_VERSION_HEX >= 0x030E0000
#include "internal/pycore_interpframe.h"
#include "internal/pycore_interpframe_structs.h"
#include "internal/pycore_stackref.h"
#elif PY_VERSION_HEX >= 0x030B0000
#include "internal/pycore_frame.h"
#endif

#if PY_VERSION_HEX >= 0x030D0000
#include <opcode_ids.h>
#else
#include <opcode.h>
#endif

#if PY_VERSION_HEX < 0x030B0000
typedef PyFrameObject Frame;
#else
typedef _PyInterpreterFrame Frame;
#endif

static const char *separator = "{";

static void print(const char *key, long long value)
{
    printf("%s\n  \"%s\": %lld", separator, key, value);
    separator = ",";
}

/* The lowest bit that a bit field occupies in the 32 bits of a string's state. */
#define STATE_SHIFT(field) state_shift((PyASCIIObject){.state = {.field = 1}})

static int state_shift(PyASCIIObject string)
{
    uint32_t state;
    memcpy(&state, &string.state, sizeof state);
    return __builtin_ctz(state);
}

/* Bytes before an object whose type has these flags. */
static size_t pre_header_bytes(unsigned long flags)
{
#if PY_VERSION_HEX < 0x030B0000
    return flags & Py_TPFLAGS_HAVE_GC ? sizeof(PyGC_Head) : 0;
#else
    return _PyType_PreHeaderSize(&(PyTypeObject){.tp_flags = flags});
#endif
}

/* For each flag that a type may have, and for each pair of them: one that counts twice, or with another one only, is noticed. */
static void print_pre_headers(void)
{
    for (int first = 0; first < 32; first++) {
        for (int second = first; second < 32; second++) {
            size_t bytes = pre_header_bytes(1UL << first | 1UL << second);
            char name[32];
            snprintf(name, sizeof name, "pre_header_%d_%d", first, second);
            if (bytes > 0)
                print(name, bytes);
        }
    }
}

int main(void)
{
    print("minor", PY_MINOR_VERSION);
#ifdef Py_GIL_DISABLED
    print("free_threaded", 1);
#else
    print("free_threaded", 0);
#endif

    print("tstate_interp", offsetof(PyThreadState, interp));
#if PY_VERSION_HEX < 0x030C0000
    print("runtime_current", offsetof(_PyRuntimeState, gilstate.tstate_current));
#endif
#if PY_VERSION_HEX < 0x030B0000
    print("current_frame", offsetof(PyThreadState, frame));
    print("frame_previous", offsetof(Frame, f_back));
    print("frame_code", offsetof(Frame, f_code));
    print("frame_instruction", offsetof(Frame, f_lasti));
    print("mark_trace_lines", offsetof(Frame, f_trace_lines));
    print("mark_generator", offsetof(Frame, f_gen));
    print("code_name", offsetof(PyCodeObject, co_name));
#else
    print("frame_previous", offsetof(Frame, previous));
    print("owner", offsetof(Frame, owner));
    print("owned_by_generator", FRAME_OWNED_BY_GENERATOR);
    print("code_name", offsetof(PyCodeObject, co_qualname));
    print("code_start", offsetof(PyCodeObject, co_code_adaptive));
    print("code_first_traceable", offsetof(PyCodeObject, _co_firsttraceable));
#if PY_VERSION_HEX < 0x030D0000
    print("cframe", offsetof(PyThreadState, cframe));
    print("current_frame", offsetof(_PyCFrame, current_frame));
    print("frame_code", offsetof(Frame, f_code));
    print("frame_instruction", offsetof(Frame, prev_instr));
#else
    print("current_frame", offsetof(PyThreadState, current_frame));
    print("frame_code", offsetof(Frame, f_executable));
    print("frame_instruction", offsetof(Frame, instr_ptr));
#endif
#if PY_VERSION_HEX < 0x030C0000
    static const int call_prefixes[] = {
        PRECALL, PRECALL_ADAPTIVE, PRECALL_BOUND_METHOD, PRECALL_BUILTIN_CLASS, PRECALL_BUILTIN_FAST_WITH_KEYWORDS,
        PRECALL_METHOD_DESCRIPTOR_FAST_WITH_KEYWORDS, PRECALL_NO_KW_BUILTIN_FAST, PRECALL_NO_KW_BUILTIN_O,
        PRECALL_NO_KW_ISINSTANCE, PRECALL_NO_KW_LEN, PRECALL_NO_KW_LIST_APPEND, PRECALL_NO_KW_METHOD_DESCRIPTOR_FAST,
        PRECALL_NO_KW_METHOD_DESCRIPTOR_NOARGS, PRECALL_NO_KW_METHOD_DESCRIPTOR_O, PRECALL_NO_KW_STR_1,
        PRECALL_NO_KW_TUPLE_1, PRECALL_NO_KW_TYPE_1, PRECALL_PYFUNC,
    };
    for (size_t index = 0; index < sizeof call_prefixes / sizeof *call_prefixes; index++) {
        char name[32];
        snprintf(name, sizeof name, "call_prefix_%d", call_prefixes[index]);
        print(name, 1);
    }
    print("mark_is_entry", offsetof(Frame, is_entry));
#elif PY_VERSION_HEX < 0x030E0000
    print("first_shim", FRAME_OWNED_BY_CSTACK);
#else
    print("first_shim", FRAME_OWNED_BY_INTERPRETER);
#endif
#if PY_VERSION_HEX < 0x030E0000
    print("mark_stack_top", offsetof(Frame, stacktop));
    print("mark_locals_plus", offsetof(Frame, localsplus));
#if PY_VERSION_HEX >= 0x030C0000
    print("mark_send_gen", SEND_GEN);
#endif
#else
    /* A bit field in debug builds, so its address cannot be taken: it is the byte after `owner` in both. */
    print("mark_visited", offsetof(Frame, owner) + 1);
    print("mark_stack_pointer", offsetof(Frame, stackpointer));
    print("mark_send_gen", SEND_GEN);
    print("mark_for_iter_gen", FOR_ITER_GEN);
    print("mark_shim_token", offsetof(Frame, f_globals));
#endif
#endif
#if PY_VERSION_HEX >= 0x030E0000
    print("frame_code_tag", Py_TAG_BITS);
#endif

    print("code_filename", offsetof(PyCodeObject, co_filename));
    print("code_first_line", offsetof(PyCodeObject, co_firstlineno));
#if PY_VERSION_HEX < 0x030A0000
    print("code_line_table", offsetof(PyCodeObject, co_lnotab));
#else
    print("code_line_table", offsetof(PyCodeObject, co_linetable));
#endif

    print("object_header", sizeof(PyObject));
    print("bytes_size", offsetof(PyBytesObject, ob_base.ob_size));
    print("bytes_data", offsetof(PyBytesObject, ob_sval));
    print("unicode_length", offsetof(PyASCIIObject, length));
    print("unicode_state", offsetof(PyASCIIObject, state));
    print("unicode_kind_shift", STATE_SHIFT(kind));
    print("unicode_compact_shift", STATE_SHIFT(compact));
    print("unicode_ascii_shift", STATE_SHIFT(ascii));
    print("unicode_ascii_data", sizeof(PyASCIIObject));
    print("unicode_compact_data", sizeof(PyCompactUnicodeObject));
    print("builtin_definition", offsetof(PyCFunctionObject, m_ml));
    print("builtin_receiver", offsetof(PyCFunctionObject, m_self));
    print("builtin_vectorcall", offsetof(PyCFunctionObject, vectorcall));
    print("builtin_definition_function", offsetof(PyMethodDef, ml_meth));
    print_pre_headers();
    puts("\n}");
    return 0;
}
