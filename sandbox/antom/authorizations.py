"""consult, applyToken, revoke, and the customer's decision between them (gateways/antom.md §3.1-3.3, §9)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import quote

from sqlalchemy import select
from sqlalchemy.orm import Session

from sandbox.antom.answers import Answer, Call, answer, iso
from sandbox.antom.messages import ApplyTokenRequest, ConsultRequest, RevokeRequest
from sandbox.antom.notices import Notices
from sandbox.antom.settings import AntomSettings
from sandbox.antom.state import Consult, Credential, credential_of, secret
from sandbox.antom.wallets import WALLETS, Wallet
from sandbox.clocks import Moment


@dataclass
class Authorizations:
    """The life of a credential."""

    settings: AntomSettings
    notices: Notices

    def consult(self, call: Call, request: ConsultRequest) -> Answer:
        """Opens an approval page. Repeating the identical call opens another one until the customer has decided."""
        if request.customer_belongs_to not in WALLETS:
            return answer("NO_PAY_OPTIONS")
        consult = Consult(
            token=secret("wt"),
            client_id=call.client_id,
            wallet=request.customer_belongs_to,
            scopes=" ".join(request.scopes),
            auth_state=request.auth_state,
            redirect_url=request.auth_redirect_url,
            notify_url=request.auth_notify_url,
            clock=call.moment.clock,
            expires_at=call.moment.now + self.settings.page_lifetime,
        )
        if any(_differs(earlier, consult) for earlier in _of_state(call.session, consult)):
            return answer("PARAM_ILLEGAL", "authState was used before")
        call.session.add(consult)
        token = quote(consult.token)
        return answer(
            normalUrl=f"{call.base_url}/wallet/authorize?token={token}",
            schemeUrl=f"wallet://agreement?token={token}",
            applinkUrl=f"{call.base_url}/wallet/authorize?token={token}&app=1",
            appIdentifier="com.example.wallet",
        )

    def approve(self, session: Session, moment: Moment, consult: Consult, script: str) -> int | None:
        """The customer agrees: makes the code and tells the merchant; the number of that notification."""
        _decide(session, consult, "approve")
        consult.script = script
        consult.auth_code = secret("ac")
        consult.code_expires_at = moment.now + self.settings.code_lifetime
        return self.notices.code_created(session, moment, consult)

    def reject(self, session: Session, consult: Consult) -> None:
        """The customer declines. Antom tells nobody."""
        _decide(session, consult, "reject")

    def apply_token(self, call: Call, request: ApplyTokenRequest) -> Answer:
        """Exchanges a code, or refreshes."""
        if request.grant_type == "AUTHORIZATION_CODE":
            return self._exchange(call, request)
        return self._refresh(call, request)

    def _exchange(self, call: Call, request: ApplyTokenRequest) -> Answer:
        consult = call.session.scalar(
            select(Consult).where(Consult.client_id == call.client_id, Consult.auth_code == request.auth_code)
        )
        if consult is None or consult.code_expires_at is None:
            return answer(self.settings.bad_auth_code, "authCode is wrong")
        call = call.inherit(consult.clock)
        if call.moment.now >= consult.code_expires_at:
            return answer(self.settings.bad_auth_code, "authCode is expired")
        if consult.wallet != request.customer_belongs_to:
            return answer("PARAM_ILLEGAL", "customerBelongsTo is not that of the consult")
        if consult.credential_id is None:
            credential = self._issue(call, consult)
        elif self.settings.code_repeats:
            credential = call.session.get_one(Credential, consult.credential_id)
        else:
            return answer(self.settings.bad_auth_code, "authCode was used before")
        return _tokens(credential)

    def _issue(self, call: Call, consult: Consult) -> Credential:
        wallet = WALLETS[consult.wallet]
        credential = Credential(
            id=secret("cred"),
            client_id=call.client_id,
            wallet=wallet.name,
            notify_url=consult.notify_url,
            clock=call.moment.clock,
            script=consult.script,
            access_token=secret("at"),
            expires_at=call.moment.now + wallet.access_life,
            refresh_token=secret("rt") if wallet.refresh_life else None,
            refresh_expires_at=_refresh_end(wallet, call.moment.now),
        )
        call.session.add(credential)
        consult.credential_id = credential.id
        return credential

    def _refresh(self, call: Call, request: ApplyTokenRequest) -> Answer:
        own = select(Credential).where(
            Credential.client_id == call.client_id, Credential.wallet == request.customer_belongs_to
        )
        credential = call.session.scalar(own.where(Credential.refresh_token == request.refresh_token))
        if credential is None:
            return self._repeat_refresh(call, request)
        call = call.inherit(credential.clock)
        now = call.moment.now
        if credential.revoked:
            return answer(self.settings.invalid_refresh_token)
        if credential.refresh_expires_at is None or now >= credential.refresh_expires_at:
            return answer(self.settings.expired_refresh_token)
        wallet = WALLETS[credential.wallet]
        credential.spent_refresh_token = credential.refresh_token
        credential.refreshed_at = now
        credential.access_token = secret("at")
        credential.expires_at = now + wallet.access_life
        credential.refresh_token = secret("rt")
        credential.refresh_expires_at = _refresh_end(wallet, now)
        return _tokens(credential)

    def _repeat_refresh(self, call: Call, request: ApplyTokenRequest) -> Answer:
        """A merchant that lost the answer repeats at once with the refresh token it has: it gets the same new pair."""
        credential = call.session.scalar(
            select(Credential).where(
                Credential.client_id == call.client_id,
                Credential.wallet == request.customer_belongs_to,
                Credential.spent_refresh_token == request.refresh_token,
            )
        )
        if credential is None or credential.revoked or credential.refreshed_at is None:
            return answer(self.settings.invalid_refresh_token)
        if call.inherit(credential.clock).moment.now >= credential.refreshed_at + self.settings.refresh_grace:
            return answer(self.settings.invalid_refresh_token)
        return _tokens(credential)

    def revoke(self, call: Call, request: RevokeRequest) -> Answer:
        """The merchant ends the authorization; both tokens are dead, and the merchant is told so."""
        credential = credential_of(call.session, call.client_id, request.access_token)
        if credential is None:
            return answer("INVALID_ACCESS_TOKEN")
        call = call.inherit(credential.clock)
        if credential.status(call.moment.now) != "active":
            return answer("INVALID_ACCESS_TOKEN")
        self.end(call.session, call.moment, credential, "revoked by the merchant")
        return answer()

    def end(self, session: Session, moment: Moment, credential: Credential, reason: str) -> None:
        """Revokes a credential, by whomever, and sends TOKEN_CANCELED. Repeating it changes nothing."""
        if credential.revoked:
            return
        credential.revoked = True
        self.notices.token_canceled(session, moment, credential, reason)


def _decide(session: Session, consult: Consult, decision: str) -> None:
    """A decision is taken once per authState: further pages of the same state are closed with it."""
    for page in _of_state(session, consult):
        page.decision = page.decision or "superseded"
    consult.decision = decision


def _of_state(session: Session, consult: Consult) -> list[Consult]:
    same = select(Consult).where(Consult.client_id == consult.client_id, Consult.auth_state == consult.auth_state)
    return list(session.scalars(same))


def _differs(earlier: Consult, new: Consult) -> bool:
    """Whether a consult with the same authState is anything but a repeat of an undecided one."""
    fields = ("wallet", "scopes", "redirect_url", "notify_url")
    return earlier.decision is not None or any(getattr(earlier, name) != getattr(new, name) for name in fields)


def _refresh_end(wallet: Wallet, now: datetime) -> datetime | None:
    return now + wallet.refresh_life if wallet.refresh_life else None


def _tokens(credential: Credential) -> Answer:
    wallet = WALLETS[credential.wallet]
    login = f"09*****{credential.id[-4:]}"
    return answer(
        accessToken=credential.access_token,
        accessTokenExpiryTime=iso(credential.expires_at),
        refreshToken=credential.refresh_token,
        refreshTokenExpiryTime=iso(credential.refresh_expires_at),
        userLoginId=login,
        pspCustomerInfo={"pspName": wallet.label, "pspCustomerId": credential.id, "displayCustomerId": login},
    )
