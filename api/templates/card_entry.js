"use strict";
// Encrypts the card for the payment provider before anything leaves this page; what is posted, only the provider reads.
(() => {
  const form = document.getElementById("card");
  const field = (name) => document.getElementById(name);
  const problem = field("problem");
  const digits = (text) => text.normalize("NFKD").replace(/\D/g, "");
  const bytes = (base64) => Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  const base64 = (buffer) => btoa(Array.from(new Uint8Array(buffer), (byte) => String.fromCharCode(byte)).join(""));

  const hasCheckDigit = (number) => {
    const sum = Array.from(number).reverse().reduce((total, digit, place) => {
      const value = Number(digit) * (place % 2 ? 2 : 1);
      return total + (value > 9 ? value - 9 : value);
    }, 0);
    return number.length >= 13 && number.length <= 19 && sum % 10 === 0;
  };

  const expiry = () => {
    const found = digits(field("expiry").value);
    const [month, year] = [found.slice(0, 2), found.slice(-2)];
    const valid = (found.length === 4 || found.length === 6) && month >= "01" && month <= "12";
    return valid ? { month, year } : null;
  };

  const read = () => {
    const [number, until, code] = [digits(field("number").value), expiry(), digits(field("code").value)];
    if (!hasCheckDigit(number)) return { wrong: "number" };
    if (!until) return { wrong: "expiry" };
    if (code.length < 3 || code.length > 4) return { wrong: "code" };
    if (!field("name").value.trim()) return { wrong: "name" };
    const card = { number, expiryMonth: until.month, expiryYear: until.year, cvc: code, nameOnCard: field("name").value.trim() };
    return { card };
  };

  const plain = (card) => ({
    card,
    deviceInformations: {
      type: "",
      userAgent: navigator.userAgent,
      ipAddress: form.dataset.address,
      acceptLanguage: navigator.language,
      cookieToken: crypto.randomUUID(),
      deviceId: crypto.randomUUID(),
      browserWidth: String(window.innerWidth),
      browserHeight: String(window.innerHeight),
      country: form.dataset.country,
    },
    metadata: {},
  });

  const encrypted = async (content) => {
    const oaep = { name: "RSA-OAEP", hash: "SHA-256" };
    const lock = await crypto.subtle.importKey("spki", bytes(form.dataset.key), oaep, false, ["encrypt"]);
    const secret = await crypto.subtle.generateKey({ name: "AES-GCM", length: 256 }, true, ["encrypt"]);
    const nonce = crypto.getRandomValues(new Uint8Array(12));
    const text = new TextEncoder().encode(JSON.stringify(content));
    const ciphertext = await crypto.subtle.encrypt({ name: "AES-GCM", iv: nonce }, secret, text);
    const locked = await crypto.subtle.encrypt({ name: "RSA-OAEP" }, lock, await crypto.subtle.exportKey("raw", secret));
    return btoa(JSON.stringify({ encryptedKey: base64(locked), nonce: base64(nonce), ciphertext: base64(ciphertext) }));
  };

  const complain = (wrong) => {
    problem.textContent = problem.dataset[wrong];
    problem.hidden = false;
    for (const name of ["number", "expiry", "code", "name"]) field(name).setAttribute("aria-invalid", String(name === wrong));
    field(wrong)?.focus();
  };

  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const { card, wrong } = read();
    if (wrong) return complain(wrong);
    const button = form.querySelector("button");
    button.disabled = true;
    try {
      const sent = document.createElement("input");
      [sent.type, sent.name, sent.value] = ["hidden", "encrypted_card", await encrypted(plain(card))];
      form.append(sent);
      for (const name of ["number", "expiry", "code", "name"]) field(name).value = "";
      form.submit();
    } catch {
      button.disabled = false;
      complain("unable");
    }
  });

  field("without").hidden = true;
  form.hidden = false;
})();
