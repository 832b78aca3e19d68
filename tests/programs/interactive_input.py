"""Ask with input(), whose prompt and buffering are easily disturbed."""

total = 0
while True:
    try:
        total += int(input("number? "))
    except EOFError:
        break
print(f"\ntotal {total}")
